"""stage=audit."""
