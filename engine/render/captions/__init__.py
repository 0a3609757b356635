"""Captions: layout, drawing, animation."""
