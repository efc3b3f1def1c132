"""Datasets behind one protocol, and the chunks in which they are read."""
