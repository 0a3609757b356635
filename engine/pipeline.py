"""Render a story to a finished video and the files beside it."""

from __future__ import annotations

import logging
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.files import StagedFiles
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import CancelledError, InputError, RenderingError
from video_pipeline.engine.events import Event, OnEvent, Stopwatch
from video_pipeline.engine.outputs.manifest import write_json
from video_pipeline.engine.outputs.overwrite import check_inputs_kept, files_read
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.outputs.thumbnail import FrameWatch, candidate_times
from video_pipeline.engine.outputs.video_info import VideoInfo
from video_pipeline.engine.outputs.write import (
    check_output,
    describe_render,
    thumbnail_of_watched,
    write_beside,
    write_subtitles,
)
from video_pipeline.engine.plan import VideoPlan, plan_video
from video_pipeline.engine.render.mux import Chapter, Mp4Writer
from video_pipeline.engine.render.renderer import render_segments
from video_pipeline.engine.render.segment_cache import SegmentCache
from video_pipeline.engine.render.sound.mix import AudioReport
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.story import Story
from video_pipeline.engine.timing import frames_round

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A finished video and the files beside it."""

    outputs: OutputPaths
    info: VideoInfo
    metadata: dict[str, Any]
    warnings: tuple[str, ...]
    timings: dict[str, float]
    segments: int
    segments_from_cache: int

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values; `files` maps roles to paths."""
        return {
            "files": {role: str(path) for role, path in self.outputs.by_role().items()},
            "video_info": self.info.as_dict(),
            "warnings": list(self.warnings),
            "segments": self.segments,
            "segments_from_cache": self.segments_from_cache,
            "timings": {stage: round(seconds, 3) for stage, seconds in self.timings.items()},
        }


@contextmanager
def _scratch(config: Config) -> Iterator[Path]:
    """Yield a private temporary folder; it is deleted when the block ends."""
    parent = config.storage.temp_path
    if parent is not None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"storage.temp_path: {parent} cannot be written: {error.strerror}") from error
    with tempfile.TemporaryDirectory(prefix="video-pipeline-", dir=parent) as folder:
        yield Path(folder)


def render_story(
    story: Story,
    output: Path,
    *,
    config: Config,
    base: Path = Path(),
    voice_over: Sound | None = None,
    sources: Mapping[str, Path] = MappingProxyType({}),
    use_cache: bool = True,
    workers: int | None = None,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
) -> RenderResult:
    """Turn a story into a finished video at `output` (.mp4) and the files beside it.

    All files appear together when the last one is complete. The story's relative paths start at `base`;
    `voice_over` is mixed under the whole video. `sources` maps descriptions to files that the caller has read,
    such as the story file: an output that would replace one of them, or a file that the story names, is an
    InputError. Setting `stop` ends the render with CancelledError. Without `use_cache` the cache is neither read
    nor written. Raises InputError, AssetError or RenderingError; then the only new files are those in the cache,
    from which the next render resumes.
    """
    watch = Stopwatch()
    outputs = OutputPaths(output)
    check_inputs_kept(
        outputs.by_role().values(),
        [
            *sources.items(),
            *files_read(story, config, base=base),
            *([("voice_over", voice_over.path)] if voice_over else []),
        ],
    )
    check_output(output)
    with _scratch(config) as scratch:
        cache = None if use_cache else ContentCache(scratch / "cache")
        try:
            plan = plan_video(
                story,
                config=config,
                base=base,
                cache=cache,
                voice_over=voice_over,
                on_event=on_event,
                watch=watch,
            )
            for warning in plan.frames.warnings:
                logger.warning(warning)
            chosen = plan.encoding.chosen_encoder
            logger.info("encoder %s (%s)", chosen.name, chosen.reason)
            for line in chosen.log:
                logger.info("%s", line)
            result = _produce(
                plan,
                outputs,
                scratch,
                watch,
                use_cache=use_cache,
                workers=workers,
                on_event=on_event,
                stop=stop,
            )
        except (RenderingError, OSError) as error:
            if config.error_handling.alert_on_failure and not isinstance(error, CancelledError):
                logger.critical("the render of story %s failed", story.story_id)
            if isinstance(error, RenderingError):
                raise
            raise RenderingError(f"{error.filename or output}: {error.strerror or error}") from error
        if use_cache:
            plan.frames.cache.prune_when_due()
    return result


def _produce(
    plan: VideoPlan,
    outputs: OutputPaths,
    scratch: Path,
    watch: Stopwatch,
    *,
    use_cache: bool,
    workers: int | None,
    on_event: OnEvent | None,
    stop: threading.Event | None,
) -> RenderResult:
    """Mix, draw, encode and mux, then write the files beside the video and publish all of them."""
    report = on_event or (lambda event: None)
    sound = scratch / "sound.m4a"
    cancelled = stop or threading.Event()
    fps = plan.frames.timeline.fps
    # Every scene is scored, so that a segment's cache entry does not depend on the rest of the story.
    times = candidate_times(plan.frames.timeline, limit=len(plan.frames.timeline.clips))
    watched = FrameWatch(frames_round(time, fps) for time in times)
    with StagedFiles(outputs.video.parent) as files, ThreadPoolExecutor(2, "beside") as side:
        video, picture = files.stage(outputs.video), files.stage(outputs.thumbnail)
        writer = Mp4Writer(
            video,
            fps=plan.frames.timeline.fps,
            title=plan.frames.story.title,
            chapters=[Chapter(frames, name) for frames, name in plan.frames.timeline.chapters()],
            edit_list=plan.frames.config.video.edit_list,
            audio=sound,
        )
        with writer, watch.stage("render"):
            mixing = side.submit(_produce_sound, plan, sound, watch, cancelled, use_cache)
            subtitles = side.submit(write_subtitles, plan.frames, outputs, files)
            thumbnail = side.submit(thumbnail_of_watched, plan, picture, watched=watched, cancelled=cancelled)
            try:
                rendered = render_segments(
                    plan.frames.compositor,
                    plan.encoding.settings,
                    writer,
                    before_first=mixing.result,
                    progress=lambda done, total: report(Event("render", done, total)),
                    on_frame=watched,
                    workers=workers,
                    stop=cancelled,
                    cache=_segment_cache(plan) if use_cache else None,
                )
            except BaseException:
                cancelled.set()  # the mix stops too
                raise
            finally:
                watched.close()
        with watch.stage("outputs"):
            report(Event("outputs", 0, 1))
            subtitles.result()
            info, metadata = write_beside(plan, outputs, files, has_thumbnail=thumbnail.result())
        manifest = describe_render(
            plan, outputs, files, sound=mixing.result(), rendered=rendered, watch=watch
        )
        write_json(files.stage(outputs.manifest), manifest)
        files.commit()
        report(Event("outputs", 1, 1))
    return RenderResult(
        outputs,
        info,
        metadata,
        plan.frames.warnings,
        dict(watch.seconds),
        len(rendered.segments),
        rendered.segments_from_cache,
    )


def _segment_cache(plan: VideoPlan) -> SegmentCache:
    return SegmentCache(
        plan.frames.cache,
        timeline=plan.frames.timeline,
        captions=plan.frames.captions,
        settings=plan.encoding.settings,
        compositor=plan.frames.compositor.identity(),
    )


def _produce_sound(
    plan: VideoPlan, target: Path, watch: Stopwatch, cancelled: threading.Event, use_cache: bool
) -> AudioReport:
    with watch.stage("sound"):
        return produce_sound(
            plan.frames.timeline,
            settings=plan.frames.config.audio,
            target=target,
            cache=plan.frames.cache if use_cache else None,
            ffmpeg=plan.frames.ffmpeg.path,
            ffmpeg_version=plan.frames.ffmpeg.version,
            cancelled=cancelled.is_set,
        )
