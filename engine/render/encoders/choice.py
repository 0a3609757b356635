"""Find the encoders that work on this machine, by an encode with the render's own settings, and choose one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError, UnavailableError
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.trial import Trial, try_settings

AGAIN_SECONDS: Final = 30.0
"""After what time an encoder is tried again if the machine was at fault, such as with every session taken."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames are encoded: the encoder, why it was chosen, and its settings."""

    chosen_encoder: Selection
    settings: EncoderSettings


@dataclass(slots=True)
class _Tried:
    """The outcomes of trials in this process, with their times."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: dict[str, tuple[Trial, float]] = field(default_factory=dict)
    silent: tuple[Trial, float] | None = None

    def outcome(self, settings: EncoderSettings) -> Trial:
        """Return what comes of these settings."""
        key = json.dumps({**asdict(settings), "fps": str(settings.fps)}, sort_keys=True)
        with self.lock:
            known = self.outcomes.get(key)
            if known is None and load_encoder(settings.encoder).on_gpu:
                known = self.silent
            if known and (known[0].kind != "machine" or time.monotonic() - known[1] < AGAIN_SECONDS):
                return known[0]
            found = try_settings(settings)
            self.outcomes[key] = found, time.monotonic()
            if found.silent:
                self.silent = self.outcomes[key]
            return found


_TRIED: Final = _Tried()


def forget_trials() -> None:
    """Forget which encoders work, so that they are tried again."""
    with _TRIED.lock:
        _TRIED.outcomes.clear()
        _TRIED.silent = None


def _ways(name: str, video: Video) -> Iterator[tuple[EncoderSettings, str]]:
    """Yield an encoder's settings for a configuration, then simpler ones, each with what is left out."""
    encoder = load_encoder(name)
    yield encoder_settings(encoder, video), ""
    for simpler, reason in encoder.simpler(video):
        yield encoder_settings(encoder, simpler), reason


@dataclass(frozen=True, slots=True)
class _Way:
    """Settings with which an encoder works, and what they leave out."""

    settings: EncoderSettings
    left_out: str


def _try_ways(name: str, video: Video) -> tuple[Probe, _Way | None]:
    """Return whether an encoder works for a configuration, and how it does."""
    first: Trial | None = None
    for settings, left_out in _ways(name, video):
        trial = _TRIED.outcome(settings)
        if trial.works:
            reason = "; ".join(filter(None, (trial.reason, left_out)))
            return Probe(name, True, reason), _Way(settings, left_out)
        first = first or trial
        if trial.kind != "options":
            break
    assert first is not None
    return Probe(name, False, first.reason, "\n".join(first.log), machine=first.kind == "machine"), None


def probe_encoder(name: str, video: Video | None = None) -> Probe:
    """Encode a few frames with an encoder of PyAV's FFmpeg, as a render with this configuration would."""
    try:
        return _try_ways(name, video or Video())[0]
    except (UnavailableError, ConfigError) as error:
        return Probe(name, False, str(error))


def choose_encoding(video: Video) -> Encoding:
    """Return the encoder to use and its settings; with `auto` the first that can do what the configuration asks for.

    Raises ConfigError for a key that the encoder does not take, UnavailableError for one that does not work here.
    """
    working: dict[str, _Way] = {}
    refused: dict[str, str] = {}
    wrong: list[str] = []

    def probe(name: str) -> Probe:
        try:
            found, way = _try_ways(name, video)
        except ConfigError as error:
            if name == video.codec:
                raise
            wrong.append(str(error))
            return Probe(name, False, str(error))
        if way is None:
            refused[name] = found.reason
        else:
            working[name] = way
        return found

    try:
        chosen = ENCODERS.select(video.codec, probe)
    except UnavailableError as error:
        if video.codec == "auto" and wrong:
            others = [f"{name} is not usable: {reason}" for name, reason in refused.items()]
            raise ConfigError("\n  ".join([*wrong, *others])) from error
        raise
    way = working[chosen.name]
    if way.left_out and way.left_out not in chosen.reason:
        chosen = replace(chosen, reason=f"{chosen.reason}; {way.left_out}")
    return Encoding(chosen, way.settings)
