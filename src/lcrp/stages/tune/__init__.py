"""stage=tune."""
