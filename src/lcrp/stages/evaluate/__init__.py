"""Stage evaluate: whether concepts matter as much as methods say."""
