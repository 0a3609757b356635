"""Find the compositors that can draw on this machine and choose one for a render."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from video_pipeline.engine.common.registry import Probe, Selection
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.families import COMPOSITORS
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.render.compositors.base import CompositorBackend


def load_compositor(name: str) -> CompositorBackend:
    """Return the record of a compositor; raise UnavailableError if it cannot be imported here."""
    return cast(CompositorBackend, COMPOSITORS.load(name))


def probe_compositor(name: str, config: Config) -> Probe:
    """Return whether a compositor can draw here with a configuration, and why or why not."""
    try:
        backend = load_compositor(name)
    except UnavailableError as error:
        return Probe(name, False, str(error))
    return backend.probe(config)


def probe_drawing(config: Config, gpus: Sequence[int]) -> dict[str, tuple[Probe, ...]]:
    """Return, for each compositor that draws on GPUs, whether it can on each of some, by CUDA's count."""
    found: dict[str, tuple[Probe, ...]] = {}
    for member in COMPOSITORS.members:
        try:
            probe = load_compositor(member.name).probe_gpu
        except UnavailableError:
            continue  # the compositor's own probe says why
        if probe is not None:
            found[member.name] = tuple(probe(config, gpu) for gpu in gpus)
    return found


def choose_compositor(config: Config) -> Selection:
    """Return the compositor to use; raise UnavailableError if the one that the configuration names cannot draw here."""
    return COMPOSITORS.select(config.video.compositor, lambda name: probe_compositor(name, config))
