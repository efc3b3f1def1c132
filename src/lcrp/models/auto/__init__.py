"""What network a file is of: one function per family, one table of them, and words for what is none."""
