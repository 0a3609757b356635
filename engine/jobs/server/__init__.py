"""The server process of a node: ZeroMQ sockets, request checks, access, limits."""
