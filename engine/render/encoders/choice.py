"""Find the encoders that work on this machine, by an encode with the render's own settings, and choose one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Final

from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError, EncoderError, UnavailableError
from video_pipeline.engine.machine.cuda_devices import CudaDevice, driver_is_here
from video_pipeline.engine.render.encoders.base import (
    EncoderSettings,
    FaultKind,
    encoder_settings,
    load_encoder,
)
from video_pipeline.engine.render.encoders.sessions import SESSIONS
from video_pipeline.engine.render.encoders.trial import EncoderTrial, try_settings

WAIT_STEP_SECONDS: Final = 2.0
"""Time between two trials while a session is waited for; each is a program."""

AGAIN_SECONDS: Final = 30.0
"""After what time an encoder is tried again if the machine was at fault, such as with every session taken."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames are encoded: the encoder, why it was chosen, its settings, and how long it waits for a session.

    `fallback` is the kind of fault for which `auto` passed over a GPU that may encode at another time.
    """

    chosen_encoder: Selection
    settings: EncoderSettings
    session_wait: float = 0.0
    fallback: FaultKind | None = None


@dataclass(slots=True)
class _Tried:
    """The outcomes of trials in this process, with their times."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    outcomes: dict[str, tuple[EncoderTrial, float]] = field(default_factory=dict)
    silent: tuple[EncoderTrial, float] | None = None

    def outcome(self, settings: EncoderSettings) -> EncoderTrial:
        """Return what comes of these settings."""
        key = _settings_key(settings)
        with self.lock:
            known = self.outcomes.get(key)
            if known is None and load_encoder(settings.encoder).on_gpu:
                known = self.silent
            if known and self._holds(*known):
                return known[0]
            found = try_settings(settings)
            SESSIONS.use(found.devices)
            for device, trial in found.by_device:
                if trial.kind in ("absent", "machine"):
                    SESSIONS.lose(device, trial.reason, log=trial.log)
            self.outcomes[key] = found, time.monotonic()
            if found.silent:
                self.silent = self.outcomes[key]
            return found

    def forget(self, settings: EncoderSettings) -> None:
        """Try these settings again when they are asked for."""
        with self.lock:
            self.outcomes.pop(_settings_key(settings), None)

    @staticmethod
    def _holds(found: EncoderTrial, at: float) -> bool:
        """Return whether an outcome of some time ago still stands."""
        if found.works:
            return all(device in SESSIONS.usable(device.model) for device in found.devices)
        return found.kind not in ("machine", "refused") or time.monotonic() - at < AGAIN_SECONDS


def _settings_key(settings: EncoderSettings) -> str:
    return json.dumps({**asdict(settings), "fps": str(settings.fps)}, sort_keys=True)


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
    """Settings with which an encoder works, and what they leave out or do without."""

    settings: EncoderSettings
    notes: str


def _try_ways(name: str, video: Video, session_wait: float) -> tuple[EncoderTrial, _Way | None]:
    """Return what came of an encoder for a configuration, and how it works if it does."""
    first: EncoderTrial | None = None
    for settings, left_out in _ways(name, video):
        trial = _wait_for_session(settings, session_wait)
        if trial.works:
            gpu = trial.devices[0].model if trial.devices else ""
            notes = "; ".join(filter(None, (left_out, *trial.notes)))
            return trial, _Way(replace(settings, gpu=gpu), notes)
        first = first or trial
        if trial.kind != "options":
            break
    assert first is not None
    return first, None


def _wait_for_session(settings: EncoderSettings, seconds: float) -> EncoderTrial:
    """Try settings; if the driver refuses a further session, try again for some seconds."""
    started = time.monotonic()
    while True:
        trial = _TRIED.outcome(settings)
        waited = time.monotonic() - started
        if trial.kind != "refused" or seconds <= 0:
            return trial
        if waited >= seconds:
            return replace(trial, reason=f"{trial.reason} (waited {waited:.0f} s, video.session_wait)")
        time.sleep(min(WAIT_STEP_SECONDS, seconds))
        _TRIED.forget(settings)


def _probe_of(name: str, trial: EncoderTrial, way: _Way | None) -> Probe:
    if way is not None:
        return Probe(name, True, "; ".join(filter(None, (trial.reason, way.notes))))
    return Probe(
        name, False, trial.reason, "\n".join(trial.log), machine=trial.kind in ("machine", "refused")
    )


def probe_encoder(name: str, video: Video | None = None) -> Probe:
    """Encode a few frames with an encoder of PyAV's FFmpeg, as a render with this configuration would."""
    try:
        return _probe_of(name, *_try_ways(name, video or Video(), 0))
    except (UnavailableError, ConfigError) as error:
        return Probe(name, False, str(error))


def probe_gpus(name: str, video: Video) -> tuple[tuple[CudaDevice, EncoderTrial], ...]:
    """Return what comes of an encoder on each GPU that CUDA shows."""
    return _try_ways(name, video, 0)[0].by_device


def choose_encoding(
    video: Video,
    *,
    session_wait: float | None = None,
    failed: Mapping[str, EncoderError] = MappingProxyType({}),
) -> Encoding:
    """Return the encoder to use and its settings; with `auto` the first that can do what the configuration asks for.

    A refused session is tried again for `session_wait` seconds, by default those of the configuration. Encoders that
    have `failed` are not taken. Raises ConfigError for a key that the encoder does not take, UnavailableError for one
    that does not work here.
    """
    seconds = video.session_wait if session_wait is None else session_wait
    working: dict[str, _Way] = {}
    refused: dict[str, str] = {}
    kinds: list[FaultKind] = []
    wrong: list[str] = []

    def probe(name: str) -> Probe:
        if name in failed:
            error = failed[name]
            kinds.append("refused" if error.refused else "machine")
            return Probe(name, False, error.what, "\n".join(error.log), machine=True)
        try:
            trial, way = _try_ways(name, video, seconds)
        except ConfigError as error:
            if name == video.codec:
                raise
            wrong.append(str(error))
            return Probe(name, False, str(error))
        if way is None:
            refused[name] = trial.reason
            if trial.kind is not None:
                kinds.append(trial.kind)
        else:
            working[name] = way
        return _probe_of(name, trial, way)

    try:
        chosen = ENCODERS.select(video.codec, probe)
    except UnavailableError as error:
        if video.codec == "auto" and wrong:
            # The last encoder is the one that every machine has; without a driver, the others cannot be meant.
            shown = wrong if driver_is_here() else wrong[-1:]
            others = [f"{name} is not usable: {reason}" for name, reason in refused.items()]
            raise ConfigError("\n  ".join([*reversed(shown), *others])) from error
        raise
    way = working[chosen.name]
    if way.notes and way.notes not in chosen.reason:
        chosen = chosen._replace(reason=f"{chosen.reason}; {way.notes}")
    fallback = next((kind for kind in kinds if kind in ("refused", "machine")), None)
    return Encoding(chosen, way.settings, seconds, fallback)
