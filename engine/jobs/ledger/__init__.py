"""The ledger: every job from its acknowledgement to its end, in one SQLite file."""
