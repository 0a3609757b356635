"""The material of a tuning run: named clips of raw frames in the content cache, from stories, timelines and videos.

Frames are yuv420p, BT.709 limited range, as every compositor draws them; they are drawn once and kept under a key of all
that they depend on.
"""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.footage import Clipped, probe_footage
from video_pipeline.engine.common.cache import ContentCache, DamagedError, FileDigests
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import AssetError, ConfigError, InputError, SubprocessError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.plan import plan_captions, plan_timeline
from video_pipeline.engine.render.captions.draw import CaptionArt
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.choice import load_compositor
from video_pipeline.engine.render.compositors.native import MAX_SEGMENT_SECONDS
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.segment_key import segment_key
from video_pipeline.engine.story import Story
from video_pipeline.engine.story.model import VideoSpec
from video_pipeline.engine.timeline import Clip, Footage, Still, Timeline, Transition
from video_pipeline.engine.timing import FrameRange, Seconds, frames_round
from video_pipeline.engine.tuning.frame_rate import steady_rate
from video_pipeline.engine.tuning.records import Part
from video_pipeline.filters.graph import argv, open_input

KIND: Final = "tuning"
"""The folder of raw frames in the cache."""

SUFFIX: Final = ".yuv"

LEAST_PX: Final = 16
"""The least width and height of a video that can be encoded."""

WINDOW_SECONDS: Final = 8
"""Length of the stretches that are taken from a longer story or video, at least; they end where segments do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawClip:
    """A clip as raw frames in a file. `scenes` are the ranges of its scenes, which overlap in transitions.

    `source` says where the frames are from, `notes` what was converted.
    """

    name: str
    part: Part
    source: str
    path: Path
    width_px: int
    height_px: int
    fps: Fraction
    frames: int
    sha256: str
    scenes: tuple[FrameRange, ...]
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> Seconds:
        """The length of the clip."""
        return self.frames / self.fps

    def segments(self, max_seconds: float = MAX_SEGMENT_SECONDS) -> tuple[FrameRange, ...]:
        """Return the segments that a renderer cuts: at the ends of transitions, and longer parts again."""
        timeline = Timeline(
            self.width_px,
            self.height_px,
            self.fps,
            self.name,
            tuple(Clip(self.name, scene, _NO_PICTURE) for scene in self.scenes),
            tuple(
                Transition("fade", index, shared)
                for index, (scene, following) in enumerate(pairwise(self.scenes))
                if (shared := scene.intersection(following))
            ),
        )
        return timeline.segments(max_frames=max(1, int(max_seconds * self.fps)))

    def describe(self) -> dict[str, Any]:
        """Return the clip as plain values, for the run's record."""
        return {
            "name": self.name,
            "part": self.part,
            "source": self.source,
            "width_px": self.width_px,
            "height_px": self.height_px,
            "fps": str(self.fps),
            "frames": self.frames,
            "sha256": self.sha256,
            "scenes": [[scene.start, scene.stop] for scene in self.scenes],
            "notes": list(self.notes),
        }


_NO_PICTURE: Final = Still(Path(), 2, 2, "")


@dataclass(frozen=True, slots=True)
class Drawable:
    """A stretch of a timeline that becomes a clip."""

    name: str
    part: Part
    source: str
    compositor: Compositor
    frames: FrameRange
    captions: tuple[CaptionArt, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of its frames."""
        timeline = self.compositor.timeline
        return timeline.width_px * timeline.height_px * 3 // 2 * len(self.frames)

    def cached(self, cache: ContentCache) -> bool:
        """Return whether its frames are drawn already."""
        return cache.path(KIND, self.parts(), SUFFIX).exists()

    def parts(self) -> dict[str, str]:
        """Return the key of its frames, which holds all that they depend on, for the cache."""
        timeline = self.compositor.timeline
        plain = EncoderSettings("libx264", timeline.width_px, timeline.height_px, timeline.fps, 1)
        key = segment_key(
            timeline, self.captions, self.frames, settings=plain, compositor=self.compositor.identity()
        )
        return {"frames": key}

    def draw(self, cache: ContentCache, digest: FileDigests) -> RawClip:
        """Return the clip, drawn if it is not cached; raise RenderingError."""
        timeline = self.compositor.timeline

        def write(target: Path) -> None:
            with target.open("wb") as file:
                drawn = self.compositor.frames(self.frames, threads=cpu_count(), children=Children())
                with contextlib.closing(drawn):
                    for array in drawn:
                        file.write(array.data)

        def check(path: Path) -> None:
            if path.stat().st_size != self.size:
                raise DamagedError(f"{path.stat().st_size} bytes, not {self.size}")

        path, _ = cache.get_or_make(KIND, self.parts(), SUFFIX, write, check=check)
        start = self.frames.start
        shown = (clip.frames.intersection(self.frames) for clip in timeline.clips)
        return RawClip(
            name=self.name,
            part=self.part,
            source=self.source,
            path=path,
            width_px=timeline.width_px,
            height_px=timeline.height_px,
            fps=timeline.fps,
            frames=len(self.frames),
            sha256=digest(path),
            scenes=tuple(FrameRange(seen.start - start, seen.stop - start) for seen in shown if seen),
            notes=self.notes,
        )


def stretches(compositor: Compositor, seconds: float | None) -> tuple[FrameRange, ...]:
    """Return stretches of a timeline, of about `seconds` together, evenly spread; None: the whole timeline.

    They begin and end where segments do, unless even one segment is longer than `seconds`.
    """
    timeline = compositor.timeline
    whole = FrameRange(0, timeline.frame_count)
    if seconds is None or timeline.duration <= seconds:
        return (whole,)
    windows: list[FrameRange] = []
    start = 0
    for segment in compositor.segments():
        if segment.stop - start >= min(WINDOW_SECONDS, seconds) * timeline.fps:
            windows.append(FrameRange(start, segment.stop))
            start = segment.stop
    if not windows:
        windows = [whole]
    count = max(1, min(len(windows), int(seconds // WINDOW_SECONDS)))
    chosen = [windows[(2 * number + 1) * len(windows) // (2 * count)] for number in range(count)]
    most = max(1, int(seconds * timeline.fps / count))
    return tuple(FrameRange(each.start, min(each.stop, each.start + most)) for each in chosen)


def story_stretches(
    story: Story,
    *,
    name: str,
    part: Part,
    source: str,
    config: Config,
    base: Path = Path(),
    cache: ContentCache,
    seconds: float | None = None,
) -> tuple[Drawable, ...]:
    """Return stretches of a story, laid out as for a render; raise InputError or AssetError."""
    plan = plan_captions(plan_timeline(story, config=config, base=base, cache=cache))
    return timeline_stretches(
        plan.compositor,
        plan.captions,
        name=name,
        part=part,
        source=source,
        seconds=seconds,
        notes=plan.warnings,
    )


def timeline_stretches(
    compositor: Compositor,
    captions: tuple[CaptionArt, ...] = (),
    *,
    name: str,
    part: Part,
    source: str,
    seconds: float | None = None,
    notes: tuple[str, ...] = (),
) -> tuple[Drawable, ...]:
    """Return stretches of a finished timeline. `compositor` draws it with these captions."""
    ranges = stretches(compositor, seconds)
    names = [name] if len(ranges) == 1 else [f"{name}@{each.start}" for each in ranges]
    return tuple(
        Drawable(title, part, source, compositor, frames, captions, notes)
        for title, frames in zip(names, ranges, strict=True)
    )


def video_stretches(
    path: Path,
    *,
    name: str,
    part: Part,
    config: Config,
    cache: ContentCache,
    seconds: float | None = None,
) -> tuple[Drawable, ...]:
    """Return stretches of a video file at its own size and frame rate.

    An odd row or column is cropped; HDR and other colours are converted to BT.709, a variable frame rate to a steady
    one, fields to frames, each with a note. Raises InputError for a file that is no video, is smaller than LEAST_PX or has
    a frame rate that the engine does not have.
    """
    source, notes = path, []
    clipped = _probe_video(path)
    width, height = clipped.footage.width_px, clipped.footage.height_px
    if min(width, height) < LEAST_PX:
        raise InputError(f"material {source}: is {width}x{height}; allowed: at least {LEAST_PX}x{LEAST_PX}")
    if width % 2 or height % 2:
        notes.append(f"cropped from {width}x{height} to {width & ~1}x{height & ~1}")
        path = _without_odd_edges(path, clipped.footage, cache)
        clipped = _probe_video(path)
    footage, rate = clipped.footage, steady_rate(source)
    notes += [*rate.notes, *([clipped.warning] if clipped.warning else [])]
    try:
        config = config.override("video", fps=rate.fps)
    except ConfigError as error:
        raise InputError(
            f"material {source}: {float(rate.fps):g} frames a second; allowed: 24 to 60"
        ) from error
    if footage.color is not None:
        notes.append(f"colours converted from {footage.color.primaries}, {footage.color.transfer} to BT.709")
    if footage.interlaced or footage.first_field is not None:
        notes.append("deinterlaced")
    whole = FrameRange(0, max(1, frames_round(footage.duration, rate.fps)))
    timeline = Timeline(footage.width_px, footage.height_px, rate.fps, name, (Clip(name, whole, footage),))
    opened = load_compositor("ffmpeg").open(timeline, ffmpeg=find_ffmpeg(), config=config)
    return timeline_stretches(
        opened, name=name, part=part, source=source.name, seconds=seconds, notes=tuple(notes)
    )


def _probe_video(path: Path) -> Clipped:
    try:
        return probe_footage(path, VideoSpec(path=str(path), sound=False))
    except AssetError as error:
        raise InputError(f"material {error}") from error


def _without_odd_edges(path: Path, footage: Footage, cache: ContentCache) -> Path:
    """Return a lossless copy of a video without its odd row and column; compositors would scale it instead."""
    width, height = footage.width_px & ~1, footage.height_px & ~1

    def make(target: Path) -> None:
        stream = open_input(path, demuxer=footage.demuxer, stream_index=footage.stream_index)
        even = stream.filter("crop", width, height, 0, 0, exact=1)
        command = argv(find_ffmpeg().path, [even], str(target), vcodec="ffv1", fps_mode="passthrough")
        done = subprocess.run(
            [*command, "-y"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SubprocessError(
                f"material {path}: cannot be cropped",
                argv=command,
                returncode=done.returncode,
                stderr=done.stderr,
            )

    parts = {"cropped": footage.sha256, "size": [width, height]}
    return cache.get_or_make(f"{KIND}-footage", parts, ".mkv", make)[0]
