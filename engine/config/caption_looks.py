"""The looks of caption styles: the keys of `scenes` that a style sets if the configuration does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from video_pipeline.engine.common.captions import CaptionStyle
from video_pipeline.engine.story.fields import StrokeSpec

SPOKEN_YELLOW: Final = "#FFD400"

_HEAVY: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "text_position": "center",
        "text_size": 90.0,
        "text_stroke": StrokeSpec(width=9, colour="#000000"),
        "text_shadow": None,
        "text_animation": "pop",
        "text_highlight": SPOKEN_YELLOW,
    }
)


@dataclass(frozen=True, slots=True)
class CaptionLook:
    """A caption style: what it is, and its values for keys of `scenes`."""

    name: CaptionStyle
    description: str
    scenes: Mapping[str, Any]


LOOKS: Final[Mapping[CaptionStyle, CaptionLook]] = MappingProxyType(
    {
        look.name: look
        for look in (
            CaptionLook("block", "a scene's whole text at once", MappingProxyType({})),
            CaptionLook("phrases", "two to five words at a time, the spoken one highlighted", _HEAVY),
            CaptionLook(
                "word",
                "one word at a time",
                MappingProxyType({**_HEAVY, "text_size": 96.0, "text_highlight": None}),
            ),
            CaptionLook(
                "karaoke",
                "phrases whose colour runs through the words with the voice",
                MappingProxyType({**_HEAVY, "text_size": 84.0, "text_animation": "none"}),
            ),
        )
    }
)


def describe_looks() -> str:
    """Return the styles and what each is, as one line."""
    return "; ".join(f"{look.name}: {look.description}" for look in LOOKS.values())
