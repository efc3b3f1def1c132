"""Ranking: which samples speak most for a concept, and exact sums over all of them."""
