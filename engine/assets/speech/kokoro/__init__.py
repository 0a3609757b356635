"""Kokoro-82M: a neural voice in eight languages; the weights come with packages of the extra `voices`."""
