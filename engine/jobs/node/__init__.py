"""The main process of a render node: scheduler, recovery, publishing, monitoring."""
