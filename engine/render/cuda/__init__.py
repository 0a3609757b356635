"""A GPU that draws: the calls to its driver, its kernels and its memory."""
