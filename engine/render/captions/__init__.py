"""Captions: laid out, drawn, animated."""
