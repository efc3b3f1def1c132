"""How work is kept: a run with its folder, its progress and its provenance, and what happens when it is stopped."""
