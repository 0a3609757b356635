"""Choices for captions that the story format, the configuration and the timeline share."""

from __future__ import annotations

from typing import Literal

CaptionPosition = Literal["top", "center", "bottom"]
CaptionAnimation = Literal["none", "fade_in", "fade", "slide_up", "pop", "typewriter"]
