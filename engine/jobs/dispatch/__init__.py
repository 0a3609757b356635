"""Dispatchers run attempts; `local` runs them in worker processes of this machine."""
