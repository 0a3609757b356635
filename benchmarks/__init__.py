"""Benchmarks: the engine beside its peers, measured in one run. See `python -m benchmarks.pipeline --help`."""
