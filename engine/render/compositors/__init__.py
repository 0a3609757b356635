"""Compositors: they turn a range of a timeline into frames."""
