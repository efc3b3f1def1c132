"""LRP rules, canonizers and composites, on zennit."""
