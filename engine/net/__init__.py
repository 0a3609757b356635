"""Calls to services on the network: keys, retries, deadlines, and limits on what is paid for."""
