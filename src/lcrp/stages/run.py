"""One run: its folder, its progress and its provenance."""
