"""Clients of a render node, the commands that use them, and the guide's classes on top."""
