"""Stage clean: what earlier commands left behind, with sizes, and what of it is deleted."""
