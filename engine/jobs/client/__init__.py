"""Clients of a render node, blocking and asyncio."""
