"""The sound of a video: mixing, loudness, encoding."""
