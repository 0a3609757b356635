"""Filters: each with its parameters and its FFmpeg form. Knows nothing of stories."""
