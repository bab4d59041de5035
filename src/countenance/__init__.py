"""Countenance: consented face replacement in video, with proof of it in the file."""

__version__ = "0.1.0"
