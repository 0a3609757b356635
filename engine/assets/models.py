"""The results of the asset stage, which the composer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from video_pipeline.engine.common.arguments import as_path, as_str, wrong_type
from video_pipeline.engine.common.music import EffectName, Score
from video_pipeline.engine.common.spoken_words import SpokenBy, SpokenWord
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.timeline import Footage, Still
from video_pipeline.engine.timing import Seconds

WordTimesBy = Literal["voice", "shares", "file"]


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound file, its length in seconds, and the SHA-256 of its content ("" if unknown: a render computes it)."""

    path: Path
    sha256: str
    duration: Seconds

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", as_path(self.path, "path"))
        as_str(self.sha256, "sha256")
        if isinstance(self.duration, bool) or not isinstance(self.duration, int | float | Fraction):
            raise wrong_type(self.duration, "duration", "seconds")
        try:
            object.__setattr__(self, "duration", Fraction(self.duration))
        except (ValueError, OverflowError):
            raise InputError(f"duration: got {self.duration!r}; allowed: finite seconds") from None


@dataclass(frozen=True, slots=True)
class Narration:
    """A text as speech: its sound, when its words are heard, and where their times come from.

    These are the voice, a file, or shares of the sound. A recording of the whole story is heard from `start` on for
    the sound's duration; `name` is how the story names it, `gain_db` what brings it to the level of a voice. If
    it `is_unspoken`, the sound's length is an estimate, and there is no file.
    """

    sound: Sound
    words: tuple[SpokenWord, ...]
    words_by: WordTimesBy
    spoken_by: SpokenBy | None = None
    start: Seconds = Fraction(0)
    name: str = ""
    gain_db: float = 0.0
    is_unspoken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureOrigin:
    """Which service a scene's picture or clip is from.

    `generated` marks one that a model made; `seed` and `prompt` are those it was made with. Of a stock picture or clip,
    `credit` names author and service, `link` is its page, `licence` the page of its terms; `prompt` are the words that
    found it.
    """

    service: str
    kind: Literal["picture", "clip"] = "picture"
    generated: bool
    model: str = ""
    prompt: str = ""
    seed: int | None = None
    credit: str = ""
    link: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPicture:
    """What a picture that is drawn here shows: motifs, the place first, or a style, by seed and view (see `PictureRequest`)."""

    motifs: tuple[str, ...] = ()
    style: str | None = None
    seed: int
    view: int = 0
    by_meaning: bool = False


@dataclass(frozen=True, slots=True)
class SceneAssets:
    """A scene's picture and sounds. `extended` marks a scene whose speech failed, which lasts 1.5 times as long.

    `words`, `words_by` and `spoken_by` are those of a `Narration`, as are `narration_start`, `narration_name` and
    `narration_gain_db`. If `is_unspoken`, the narration's length is an estimate, and there is no file. `origin` is the
    service that the picture is from, `drawn` what it shows if it is drawn here; if it `is_unpainted`, that is in the
    place of a service's. `second_view` shows the same place as a drawn picture, for a scene that outlasts one still.
    """

    scene_id: str
    picture: Still | Footage
    narration: Sound | None = None
    footage_sound: Sound | None = None
    extended: bool = False
    words: tuple[SpokenWord, ...] = ()
    words_by: WordTimesBy | None = None
    spoken_by: SpokenBy | None = None
    narration_start: Seconds = Fraction(0)
    narration_name: str = ""
    narration_gain_db: float = 0.0
    is_unspoken: bool = False
    origin: PictureOrigin | None = None
    drawn: DrawnPicture | None = None
    is_unpainted: bool = False
    second_view: Still | None = None


@dataclass(frozen=True, slots=True)
class StoryAssets:
    """The assets of all scenes in order, and those of the whole video: music and voice-over.

    `paid` says for the manifest what services of speech were paid for, `paid_pictures` those of pictures. `score` is that
    of music that was synthesised, and `speech_lufs` then about the loudness of the narration (None: there is none, or its
    files are not made yet). `effects` are the sound effects that are asked for, `title_speech` is a title card's narration.
    """

    scenes: tuple[SceneAssets, ...]
    music: Sound | None = None
    score: Score | None = None
    speech_lufs: float | None = None
    effects: Mapping[EffectName, Sound] = field(default_factory=dict)
    title_speech: Narration | None = None
    voice_over: Sound | None = None
    warnings: tuple[str, ...] = ()
    paid: tuple[Mapping[str, Any], ...] = ()
    paid_pictures: tuple[Mapping[str, Any], ...] = ()

    @property
    def origins(self) -> Mapping[str, PictureOrigin]:
        """The services that pictures are from, by scene."""
        return {scene.scene_id: scene.origin for scene in self.scenes if scene.origin is not None}

    @property
    def drawn(self) -> Mapping[str, DrawnPicture]:
        """What the pictures that are drawn here show, by scene."""
        return {scene.scene_id: scene.drawn for scene in self.scenes if scene.drawn is not None}

    @property
    def unpainted(self) -> frozenset[int]:
        """The scenes whose picture was not asked for."""
        return frozenset(index for index, scene in enumerate(self.scenes) if scene.is_unpainted)

    @property
    def unspoken(self) -> frozenset[int]:
        """The scenes whose narration is not spoken yet."""
        return frozenset(index for index, scene in enumerate(self.scenes) if scene.is_unspoken)
