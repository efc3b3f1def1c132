"""stage=missed."""
