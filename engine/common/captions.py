"""Choices for captions that the story format, the configuration and the timeline share."""

from __future__ import annotations

from typing import Literal

CaptionPosition = Literal["top", "center", "bottom"]
CaptionAnimation = Literal["none", "fade_in", "fade", "slide_up", "pop", "typewriter"]
CaptionStyle = Literal["block", "phrases", "word", "karaoke"]
CaptionStyleChoice = Literal["auto", "block", "phrases", "word", "karaoke"]
Platform = Literal["generic", "tiktok", "reels", "shorts"]

TALL: float = 1.5
"""A frame is tall, as those of short videos are, if its height is more than this times its width."""
