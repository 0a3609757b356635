"""A node inside the caller's program, without sockets."""
