"""Which words of a story's lexicon are spoken nowhere in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from video_pipeline.engine.assets.speech.normalisation.dates import date_order
from video_pipeline.engine.assets.speech.normalisation.normalise import unused_words
from video_pipeline.engine.config import Config
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.lexicon import merged

_NAMED_MOST: Final = 10


def lexicon_warnings(story: Story, scenes: Sequence[StoryScene], *, config: Config) -> tuple[str, ...]:
    """Return the warning that names words of the story's own lexicon which none of its scenes speaks, or nothing.

    The configuration's lexicon serves many stories, so its words may be in none of this one.
    """
    texts = [scene.spoken for scene in scenes if scene.spoken]
    if not story.lexicon or not texts or config.tts.service == "none":
        return ()
    language = story.language
    unused = unused_words(
        story.lexicon,
        texts,
        language=language,
        dates=date_order(config.tts.dates, language=language, region=story.region),
        lexicon=merged(config.tts.lexicon, story.lexicon),
    )
    if not unused:
        return ()
    names = ", ".join(map(repr, unused[:_NAMED_MOST]))
    more = f" and {len(unused) - _NAMED_MOST} more" if len(unused) > _NAMED_MOST else ""
    warning = f"field 'lexicon': {names}{more}: no scene speaks {'it' if len(unused) == 1 else 'them'}"
    spoken = "\n".join(texts).casefold()
    other = [word for word in unused if word != word.lower() and word.casefold() in spoken]
    if other:
        warning += f"; {other[0]!r} is found only as it is written, {other[0].lower()!r} in any capitals"
    return (warning,)
