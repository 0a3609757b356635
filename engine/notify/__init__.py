"""Tell others of what happens on a node: an outbox, and what delivers it."""
