"""Hostile and broken input, and what becomes of each: the rows of outcomes.md beside this."""
