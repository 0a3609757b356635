"""One finished frame of a story as a picture, without rendering the video."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from video_pipeline.engine.assets.cache_folder import open_asset_cache, scratch_folder
from video_pipeline.engine.common.files import whole_file
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, RenderingError
from video_pipeline.engine.events import OnEvent
from video_pipeline.engine.outputs.overwrite import check_inputs_kept, files_read
from video_pipeline.engine.plan import FramePlan, plan_captions, plan_timeline
from video_pipeline.engine.render.compositors.still_frame import draw_frame
from video_pipeline.engine.story import Story
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange, Seconds

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")
PNG_COMPRESS_LEVEL = 1
"""Compression level 1 writes a larger file in a fraction of the time."""

JPEG_QUALITY = 95


@dataclass(frozen=True, slots=True)
class FrameAt:
    """A frame by its number, or by the time at which it is shown."""

    number: int | None = None
    time: Seconds | None = None

    def of(self, timeline: Timeline) -> int:
        """Return the frame's number; raise InputError for one outside the timeline."""
        length = f"the video lasts {float(timeline.duration):.3f} s, {timeline.frame_count} frames"
        if self.number is not None:
            if not 0 <= self.number < timeline.frame_count:
                raise InputError(f"frame {self.number}: {length}; allowed: 0 to {timeline.frame_count - 1}")
            return self.number
        time = self.time or Seconds(0)
        if not 0 <= time < timeline.duration:
            raise InputError(
                f"time {float(time):g} s: {length}; allowed: 0 to less than {float(timeline.duration):.3f}"
            )
        return int(time * timeline.fps)


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """The picture that was written and the frame that it shows."""

    output: Path
    frame: int
    frame_count: int
    time: Seconds
    size_px: tuple[int, int]
    warnings: tuple[str, ...]


def check_picture(path: Path) -> Path:
    """Return a picture's path with its folder made; raise InputError if it cannot be written."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"output {path}: allowed: a name that ends in {', '.join(PICTURE_SUFFIXES)}")
    if path.is_dir():
        raise InputError(f"output {path}: is a folder; give a file name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"output folder {path.parent}: cannot be written: {error.strerror}") from error
    return path


def _plan_frame(planned: Callable[..., FramePlan], at: FrameAt, *, exactly: bool) -> tuple[FramePlan, int]:
    """Return a plan in which the scene of a frame is spoken and has its picture, and the frame's number.

    Beyond the end that estimated lengths give, and `exactly`, every scene is spoken.
    """
    if not exactly:
        plan = planned(speak=())
        try:
            frame = at.of(plan.timeline)
            shown = _scene_shown(plan.timeline, frame)
            now = FrameRange(frame, frame + 1)
            shots = zip(plan.timeline.scene_numbers(), plan.timeline.clips, strict=True)
            seen = {scene for scene, clip in shots if clip.frames.intersection(now)} & plan.unpainted
            if seen or shown in plan.unspoken:
                plan = planned(speak={shown, *seen})
                frame = at.of(plan.timeline)
            if plan.unspoken:
                one = len(plan.unspoken) == 1
                count = "one scene" if one else f"{len(plan.unspoken)} scenes"
                lengths = "its length is" if one else "their lengths are"
                warning = (
                    f"the narration of {count} is not spoken yet, so {lengths} estimated; in the video "
                    "the frame may be another one"
                )
                plan = replace(plan, warnings=(*plan.warnings, warning))
            return plan, frame
        except InputError:
            if not plan.unspoken:
                raise
    plan = planned(speak=None)
    return plan, at.of(plan.timeline)


def _scene_shown(timeline: Timeline, frame: int) -> int:
    """Return the number of the scene that a frame shows; in a transition, of the scene whose caption is shown."""
    at = FrameRange(frame, frame + 1)
    numbers = timeline.scene_numbers()
    first, *second = (index for index, clip in enumerate(timeline.clips) if clip.frames.intersection(at))
    if second:
        overlap = timeline.clips[first].frames.intersection(timeline.clips[second[0]].frames)
        if overlap is not None and frame >= (overlap.start + overlap.stop) // 2:
            return numbers[second[0]]
    return numbers[first]


def preview_story(
    story: Story,
    output: Path,
    *,
    at: FrameAt,
    config: Config,
    base: Path = Path(),
    sources: Mapping[str, Path] = MappingProxyType({}),
    on_event: OnEvent | None = None,
) -> PreviewResult:
    """Write one finished frame of a story as PNG or JPEG, by the suffix of `output`.

    Pictures are made if they are not cached, and so is the narration of the scene that is shown; image services are asked for
    what is shown alone. Of other scenes whose
    narration is not cached the lengths are estimated, with a warning, unless the error policy forbids warnings: then
    all are spoken. Sound is not mixed and nothing is encoded. Raises InputError, also for a frame beyond the end, AssetError
    or RenderingError.
    """
    check_inputs_kept([output], [*sources.items(), *files_read(story, config, base=base)])
    check_picture(output)
    with scratch_folder(config) as scratch:
        cache = replace(open_asset_cache(config), own=scratch)
        planned = functools.partial(
            plan_timeline, story, config=config, base=base, cache=cache, on_event=on_event
        )
        plan, frame = _plan_frame(planned, at, exactly=config.error_policy.forbids_warnings)
        timeline = plan.timeline
        wanted = FrameRange(frame, frame + 1)
        plan = plan_captions(plan, shown=wanted, drawn_next=wanted)
        picture = draw_frame(plan.compositor, frame)
    try:
        with whole_file(output) as partial:
            if output.suffix.lower() == ".png":
                picture.save(partial, "PNG", compress_level=PNG_COMPRESS_LEVEL)
            else:
                picture.save(partial, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    except OSError as error:
        raise RenderingError(f"{output}: cannot be written: {error.strerror or error}") from error
    return PreviewResult(
        output, frame, timeline.frame_count, frame / timeline.fps, picture.size, plan.warnings
    )
