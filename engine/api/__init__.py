"""The high-level API: classes that take and return plain dictionaries."""
