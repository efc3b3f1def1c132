"""Storage: HDF5 and JSON files, written whole or not at all, and where they are found again (no torch)."""
