"""Stage glocal: one pass over a dataset that ranks, per concept, where it is most relevant and most active."""
