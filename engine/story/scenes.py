"""The scenes of a story: its own, or those that its text is split into."""

from __future__ import annotations

from functools import lru_cache

from video_pipeline.engine.story.code_blocks import prose
from video_pipeline.engine.story.fields import TEXT_MAX_CHARACTERS
from video_pipeline.engine.story.markdown import first_words, markdown_paragraphs
from video_pipeline.engine.story.model import Story, StoryScene
from video_pipeline.engine.story.speakers import lines_apart, speaker_names, spoken_line
from video_pipeline.engine.story.splitting import SCENE_UNITS, scenes_of, split_into_scenes, word_units


def story_scenes(story: Story) -> tuple[StoryScene, ...]:
    """Return a story's scenes: its own, or its text split at paragraphs and sentence ends.

    A heading of the text is shown and spoken with the scene after it and names the chapter that begins there. In a
    text without headings, each scene is a chapter, named by its first words. Each line of a speaker is a scene at least.
    """
    if story.scenes is not None:
        return _with_speakers(story.scenes, story_speakers(story))
    return _scenes_of_text(story.content, story.language, story_speakers(story))


def story_speakers(story: Story) -> tuple[str, ...]:
    """Return the speakers of a story's lines, in the order in which they first speak; see `speaker_names`."""
    if story.scenes is None:
        return speaker_names(prose(story.content).split("\n"), story.speakers)
    named = [scene.speaker for scene in story.scenes if scene.speaker is not None]
    texts = [scene.text for scene in story.scenes if scene.speaker is None]
    lines = "\n\n".join(texts).split("\n")
    return tuple(dict.fromkeys([*speaker_names(lines, story.speakers), *named]))


def _with_speakers(scenes: tuple[StoryScene, ...], names: tuple[str, ...]) -> tuple[StoryScene, ...]:
    if not names:
        return scenes
    return tuple(
        scene.model_copy(update={"speaker": said.speaker})
        if scene.speaker is None and (said := spoken_line(scene.text.lstrip("\n"), names))
        else scene
        for scene in scenes
    )


@lru_cache(8)
def _scenes_of_text(content: str, language: str, names: tuple[str, ...]) -> tuple[StoryScene, ...]:
    paragraphs = markdown_paragraphs(lines_apart(prose(content), names))
    has_headings = any(paragraph.level for paragraph in paragraphs)
    found: list[tuple[str, str]] = []
    speaks: dict[int, str] = {}
    headings: list[str] = []
    for paragraph in paragraphs:
        if paragraph.level:
            headings += paragraph.blocks
            continue
        first = len(found)
        texts = scenes_of(paragraph.blocks, language=language, limit=TEXT_MAX_CHARACTERS)
        if headings and texts:
            chapter = _chapter(" – ".join(headings))
            joined = "\n\n".join([*headings, texts[0]])
            if word_units(joined) > SCENE_UNITS[1] or len(joined) > TEXT_MAX_CHARACTERS:
                found.append(("\n\n".join(headings)[:TEXT_MAX_CHARACTERS], chapter))
                chapter = ""
            else:
                texts[0] = joined
            found.append((texts.pop(0), chapter))
            headings = []
        found += [(text, "" if has_headings and found else _chapter(text)) for text in texts]
        if said := spoken_line(paragraph.blocks[0], names):
            speaks |= dict.fromkeys(range(first, len(found)), said.speaker)
    if headings:
        found.append(("\n\n".join(headings)[:TEXT_MAX_CHARACTERS], _chapter(" – ".join(headings))))
    if not found:  # nothing but marks
        texts = split_into_scenes(content, language=language, limit=TEXT_MAX_CHARACTERS)
        found = [(text, _chapter(text)) for text in texts]
    return tuple(
        StoryScene.model_construct(
            scene_id=f"scene_{index + 1:03d}", text=text, title=title, speaker=speaks.get(index)
        )
        for index, (text, title) in enumerate(found)
    )


def _chapter(text: str) -> str:
    """Return a chapter's title: the first words of a text, without control characters."""
    return first_words("".join(character if character.isprintable() else " " for character in text))
