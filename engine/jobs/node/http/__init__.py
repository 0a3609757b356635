"""The HTTP endpoints of a node: metrics, health, readiness."""
