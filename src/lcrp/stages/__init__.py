"""The stages: what one command does, wired from attribution, data, storage and figures."""
