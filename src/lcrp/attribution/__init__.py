"""Attributions: targets, seeds, and relevance of pixels and concepts."""
