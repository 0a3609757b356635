"""The colours of a caption's words: those of their speakers, and that of the word being spoken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from video_pipeline.engine.story.fields import parse_colour
from video_pipeline.engine.story.speakers import spoken_line
from video_pipeline.engine.timeline import CaptionColour
from video_pipeline.filters.text import Color

LEAST_DISTANCE: Final = 200
"""Two colours nearer than this (`colour_distance`) are hard to tell apart in a word that is seen for a moment."""

SPOKEN_COLOURS: Final[tuple[Color, ...]] = ((255, 255, 255, 255), (255, 90, 54, 255))
"""Colours of the word being spoken if the usual one is like that of other words: white, orange red."""


def colour_distance(one: Color, other: Color) -> float:
    """Return how different two colours look, 0 to 765 (Riemersma's "redmean", compuphase.com/cmetric.htm)."""
    mean = (one[0] + other[0]) / 2
    red, green, blue = (one[i] - other[i] for i in range(3))
    weighted = (2 + mean / 256) * red**2 + 4 * green**2 + (2 + (255 - mean) / 256) * blue**2
    return float(weighted**0.5)


def spoken_colour(usual: Color, words: Collection[Color]) -> Color:
    """Return the colour of the word being spoken: the usual one if it is unlike those of the words, or the most unlike."""

    def distance(colour: Color) -> float:
        return min(colour_distance(colour, word) for word in words)

    choices = (usual, *SPOKEN_COLOURS)
    return next((one for one in choices if distance(one) >= LEAST_DISTANCE), max(choices, key=distance))


def line_colours(
    text: str, speakers: Mapping[str, str | None], *, own: Color, others: Color
) -> tuple[CaptionColour, ...]:
    """Return the parts of a caption's text that have another colour than its `own`.

    A line that begins with a name has the colour of that speaker of `speakers`, and so have the lines after it up to a
    blank one; lines of no speaker, and speakers without a colour, have that of `others`.
    """
    found: list[CaptionColour] = []
    at, now = 0, others
    for line in text.split("\n"):
        if said := spoken_line(line, speakers):
            colour = speakers[said.speaker]
            now = parse_colour(colour) if colour else others
        elif not line.strip():
            now = others
        if line.strip() and now != own:
            found.append(CaptionColour(at, at + len(line), now))
        at += len(line) + 1
    return tuple(found)
