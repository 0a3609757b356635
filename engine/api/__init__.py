"""The high-level classes: plain dictionaries in, plain dictionaries out."""
