"""Dispatchers run attempts; `local` uses worker processes on this machine."""
