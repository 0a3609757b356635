"""What a service is asked for: the prompt of a scene, or the words to search for, and the size."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from video_pipeline.engine.assets.images.service import PictureRequest
from video_pipeline.engine.config.image_services import PROMPT_FIELD
from video_pipeline.engine.config.images import Images
from video_pipeline.engine.story.keywords import NO_GENRE, extract_tags

PROMPT_MAX_CHARACTERS: Final = 4000
"""The least that the services take: dall-e-3's."""

SEARCH_WORDS: Final = 3
SEARCH_MAX_CHARACTERS: Final = 100
"""Pixabay's limit."""


def prompt_of(request: PictureRequest, settings: Images) -> str:
    """Return the prompt of a scene: its own, or the template with the words of scene and story."""
    if request.prompt:
        return _shortened(request.prompt, PROMPT_MAX_CHARACTERS)
    words = {
        "title": request.title,
        "scene_title": request.scene_title,
        "genre": "" if request.genre == NO_GENRE else request.genre,
        "style": settings.prompt_style.rstrip(". "),
        "text": request.text,
    }
    filled = PROMPT_FIELD.sub(lambda found: words[found[1]], settings.prompt_template)
    # What stood around an empty field: "()", ". A" at the beginning, two stops in a row.
    filled = re.sub(r"([.:])(\s*[.:])+", r"\1", " ".join(filled.replace(" ()", "").split()))
    return _shortened(filled.lstrip(".:, "), PROMPT_MAX_CHARACTERS)


def searches_of(request: PictureRequest) -> Iterator[str]:
    """Yield words to search stock pictures for, the most exact first: the scene's, fewer of them, the genre."""
    if request.prompt:
        yield _shortened(request.prompt, SEARCH_MAX_CHARACTERS)
    words = extract_tags(
        f"{request.text}\n{request.scene_title}",
        genre=NO_GENRE,
        language=request.language,
        limit=SEARCH_WORDS,
    )
    titles = extract_tags(request.title, genre=NO_GENRE, language=request.language, limit=1)
    genre = [] if request.genre == NO_GENRE else [request.genre]
    # A text of stop words alone is searched for as it is.
    tries = [" ".join(words[:count]) for count in range(len(words), 0, -1)] or [request.text.strip(" .!?")]
    for words_tried in dict.fromkeys([*tries, *titles, *genre]):
        if words_tried:
            yield _shortened(words_tried, SEARCH_MAX_CHARACTERS)


def nearest_aspect(frame_px: tuple[int, int], choices: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the sides of a choice whose aspect is nearest to a frame's: it loses least if it is cropped."""
    aspect = frame_px[0] / frame_px[1]
    return min(choices, key=lambda sides: max(sides[0] / sides[1] / aspect, aspect * sides[1] / sides[0]))


def size_for(
    frame_px: tuple[int, int], *, megapixels: float, multiple: int, longest: float = 3.0
) -> tuple[int, int]:
    """Return a width and height of so many megapixels with a frame's aspect, in steps of `multiple`.

    The aspect is at most `longest` to 1.
    """
    aspect = min(longest, max(1 / longest, frame_px[0] / frame_px[1]))
    height = (megapixels * 1e6 / aspect) ** 0.5
    width, height = (max(multiple, multiple * round(side / multiple)) for side in (height * aspect, height))
    # Rounding must not exceed the longest aspect.
    width = min(width, int(longest * height) // multiple * multiple)
    height = min(height, int(longest * width) // multiple * multiple)
    return width, height


def _shortened(text: str, most: int) -> str:
    """Return at most so many characters of a text, cut at a space if it has one there."""
    text = " ".join(text.split())
    if len(text) <= most:
        return text
    cut = text[:most]
    return cut.rpartition(" ")[0] or cut
