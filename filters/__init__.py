"""Filters with their parameters and FFmpeg forms, independent of stories and timelines."""
