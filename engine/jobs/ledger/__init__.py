"""The ledger: all jobs, from submit to end, kept durably in one SQLite file."""
