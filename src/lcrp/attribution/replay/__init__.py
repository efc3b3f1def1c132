"""Functions of one tensor that are asked again and again run only what depends on it, and is needed."""
