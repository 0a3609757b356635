"""Publishing: finished videos brought to platforms, each post once."""
