"""The speakers of a story: the colour of what they say, and the voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from video_pipeline.engine.assets.speech.chain import NarratorChain, choose_narrator
from video_pipeline.engine.assets.speech.service import SpeechContext
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.story import Story, StoryScene
from video_pipeline.engine.story.model import place_of
from video_pipeline.engine.story.scenes import story_speakers
from video_pipeline.engine.story.speakers import SpeakerSpec, spoken_line, unnamed


@dataclass(frozen=True, slots=True)
class SpeakerVoice:
    """The settings with which a speaker's lines are spoken, and whether the story names the voice."""

    speaker: str
    settings: Tts
    of_story: bool


@dataclass(frozen=True, slots=True)
class Cast:
    """Scenes with the colours and words of their speakers, the voices by speaker, and warnings."""

    scenes: tuple[StoryScene, ...]
    voices: Mapping[str, SpeakerVoice]
    warnings: tuple[str, ...]


def cast_speakers(story: Story, scenes: Sequence[StoryScene], *, config: Config) -> Cast:
    """Give each speaker's scenes a colour and narration without the name, and find the speakers' voices.

    The story's entry of a speaker wins over the configuration's; the colours of others are scenes.speaker_colours in the
    order in which they first speak.
    """
    names = story_speakers(story)
    if not names:
        return Cast(tuple(scenes), {}, _without_lines(story, ()))
    specs = {name: _spec_of(name, story, config) for name in names}
    looks = _looks_of(specs, config)
    warnings = list(_without_lines(story, names))
    changed: list[StoryScene] = []
    for index, scene in enumerate(scenes):
        said = dict.fromkeys(
            line.speaker for part in scene.text.split("\n") if (line := spoken_line(part, names))
        )
        unheard = [name for name in said if name != scene.speaker and specs[name].voice]
        if len(said) > 1 and (unheard or (scene.speaker and specs[scene.speaker].voice)):
            warnings.append(
                f"{place_of(index, scene, 'text')}: {', '.join(said)} speak in one scene, which has one voice"
                f"{f', that of {scene.speaker}' if scene.speaker else ''}: give each a scene"
            )
        update: dict[str, object] = {}
        if scene.speaker is not None and scene.colour is None:
            update["colour"] = looks[scene.speaker]
        if said and scene.narration is None and not config.tts.speaker_names:
            update["narration"] = unnamed(scene.text, names)
        changed.append(scene.model_copy(update=update) if update else scene)
    return Cast(tuple(changed), _voices(specs, story, config), tuple(warnings))


def speaker_colours(story: Story, *, config: Config) -> dict[str, str | None]:
    """Return the colour of each speaker of a story's lines, None for that of other captions."""
    return _looks_of({name: _spec_of(name, story, config) for name in story_speakers(story)}, config)


def _looks_of(specs: Mapping[str, SpeakerSpec], config: Config) -> dict[str, str | None]:
    colours = config.scenes.speaker_colours
    free = iter(range(len(specs)))
    return {
        name: spec.colour or (colours[next(free) % len(colours)] if colours else None)
        for name, spec in specs.items()
    }


def _spec_of(name: str, story: Story, config: Config) -> SpeakerSpec:
    """Return a speaker's look and voice, those of the story first."""
    found = SpeakerSpec()
    for speakers in (config.scenes.speakers, story.speakers):
        own = next((spec for key, spec in speakers.items() if key.casefold() == name.casefold()), None)
        if isinstance(own, SpeakerSpec):
            found = found.model_copy(update=own.model_dump(exclude_none=True))
    return found


def _without_lines(story: Story, names: Sequence[str]) -> tuple[str, ...]:
    """Return a warning for each declared speaker who has no line."""
    return tuple(
        f"speakers: {name!r} has no line{closest(name, names)}; a line is `{name}: …`"
        for name, spec in story.speakers.items()
        if spec is not False and name not in names
    )


def _voices(specs: Mapping[str, SpeakerSpec], story: Story, config: Config) -> dict[str, SpeakerVoice]:
    voices: dict[str, SpeakerVoice] = {}
    for name, spec in specs.items():
        if spec.voice is not None:
            own = story.speakers.get(name)
            of_story = isinstance(own, SpeakerSpec) and own.voice is not None
            voices[name] = SpeakerVoice(name, config.tts.model_copy(update={"voice": spec.voice}), of_story)
    return voices


def open_voices(
    voices: Mapping[str, SpeakerVoice], *, fallback: bool, context: SpeechContext
) -> dict[str, NarratorChain]:
    """Return the narrators of speakers; raise ConfigError or StoryError for a voice that the service does not have."""
    opened: dict[str, NarratorChain] = {}
    for name, voice in voices.items():
        try:
            chain = choose_narrator(voice.settings, fallback=fallback, context=context).chain
        except ConfigError as error:
            message = str(error).removeprefix("tts.voice: ")
            if voice.of_story:
                raise StoryError(f"field 'speakers.{name}.voice': {message}") from error
            raise ConfigError(f"scenes.speakers.{name}.voice: {message}") from error
        if chain is not None:
            opened[name] = chain
    return opened
