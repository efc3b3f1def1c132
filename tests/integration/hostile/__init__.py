"""Hostile and broken input, and what becomes of each: the rows of docs/hostile-input.md."""
