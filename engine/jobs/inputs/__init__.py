"""The assets of a job: which sources are allowed, and the files sent with it."""
