"""LRP rules on operations, and composites of them."""
