"""Networks with the published sub-module names, and the reader of their checkpoints (torch only)."""
