"""Which compositors can draw on this machine, and which of them a render uses."""

from __future__ import annotations

from dataclasses import dataclass

from video_pipeline import native
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.timeline import Timeline


def open_compositor(
    name: str, timeline: Timeline, captions: tuple[CaptionArt, ...], *, ffmpeg: FfmpegProgram, config: Config
) -> Compositor:
    """Return the compositor of a name for a timeline."""
    graphs = FfmpegCompositor(
        timeline=timeline,
        captions=captions if name == "ffmpeg" else (),
        program=ffmpeg.path,
        motion=config.video.motion,
        oversample=config.video.zoompan_oversample,
        has_perspective="perspective" in ffmpeg.filters,
        version=ffmpeg.version,
    )
    if name == "ffmpeg":
        return graphs
    from video_pipeline.engine.render.compositors.native import (
        NativeCompositor,  # its extension may not have been built
    )

    return NativeCompositor(timeline=timeline, captions=captions, graphs=graphs)


@dataclass(frozen=True, slots=True)
class CompositorProbe:
    """Whether a compositor can draw here, and why or why not."""

    name: str
    works: bool
    reason: str


def probe_compositors() -> tuple[CompositorProbe, ...]:
    """Return every compositor, the preferred ones first."""
    built = native.available()
    return (
        CompositorProbe("cuda", False, "it is not part of this version"),
        CompositorProbe(
            "native",
            built,
            f"its extension was built; {native.target()} rows"
            if built
            else "its extension was not built: no C++ compiler was found when this was installed",
        ),
        CompositorProbe("ffmpeg", True, "it needs the ffmpeg program only"),
    )


@dataclass(frozen=True, slots=True)
class CompositorChoice:
    """The compositor of a render and why it was chosen. Made once, before rendering."""

    name: str
    reason: str


def choose_compositor(wanted: str) -> CompositorChoice:
    """Return the compositor to use; raise UnavailableError for one that cannot draw here."""
    probes = probe_compositors()
    usable = [probe.name for probe in probes if probe.works]
    if wanted == "auto":
        best = next(probe for probe in probes if probe.works)
        return CompositorChoice(best.name, best.reason)
    for probe in probes:
        if probe.name == wanted and probe.works:
            return CompositorChoice(wanted, "asked for by name")
        if probe.name == wanted:
            raise UnavailableError(
                f"compositor {wanted!r} is not usable here: {probe.reason}; allowed: auto, {', '.join(usable)}"
            )
    raise UnavailableError(f"compositor {wanted!r}: allowed: auto, {', '.join(usable)}")
