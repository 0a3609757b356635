"""Compositors, which turn a range of a timeline into frames."""
