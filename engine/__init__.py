"""The engine: a story becomes a finished video. See docs/architecture.md for the way through it."""

from __future__ import annotations

__version__ = "0.1.0"
