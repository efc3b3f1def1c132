"""L-CRP: which learned concepts carried one decision of a detector or a segmenter."""

__version__ = "0.1.0"
