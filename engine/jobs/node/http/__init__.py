"""What a node answers over HTTP: metrics, health, readiness."""
