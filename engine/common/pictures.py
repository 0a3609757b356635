"""Choices for drawn pictures that the story format and the configuration share."""

from __future__ import annotations

from typing import Literal

PictureStyle = Literal[
    "misty_ridges",
    "cloud_sea",
    "paper_hills",
    "dunes",
    "moonlit_sea",
    "foggy_forest",
    "aurora",
    "nebula",
    "planet",
    "city_dusk",
    "arches",
    "cave",
    "bokeh",
    "silk",
]
PictureStyleChoice = Literal["auto", "genre"] | PictureStyle
