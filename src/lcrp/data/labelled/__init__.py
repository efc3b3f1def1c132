"""Labelled pictures of a person's own: every layout is read into the same arrays, and a report says what was read."""
