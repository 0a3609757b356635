"""Make a release: wheels, source, bill of materials, notes and checksums. See `python -m tools.release --help`."""
