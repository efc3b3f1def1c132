"""stage=explore: one HTML file that says why."""
