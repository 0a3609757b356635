"""The front end: the process that speaks ZeroMQ, and who is let in."""
