"""Render a story to a finished video and the files beside it."""

from __future__ import annotations

import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from video_pipeline.engine.assets.cache_folder import open_asset_cache, scratch_folder
from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.assets.sound import probe_sound
from video_pipeline.engine.common.arguments import (
    as_callable,
    as_instance,
    as_mapping,
    as_path,
    as_seconds,
    wrong_type,
)
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.common.files import StagedFiles
from video_pipeline.engine.common.input_files import InputFiles
from video_pipeline.engine.common.open_store import open_store
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import (
    AssetError,
    CancelledError,
    EncoderError,
    InputError,
    PipelineError,
    RenderingError,
)
from video_pipeline.engine.events import FIRST_SEGMENT, Event, OnEvent, Stopwatch
from video_pipeline.engine.outputs.frame_choice import watched_frames
from video_pipeline.engine.outputs.manifest import write_json
from video_pipeline.engine.outputs.overwrite import check_inputs_kept, files_read
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.outputs.video_info import VideoInfo
from video_pipeline.engine.outputs.write import (
    capped_warning,
    check_output,
    check_output_name,
    describe_render,
    thumbnail_of_watched,
    write_beside,
    write_subtitles,
)
from video_pipeline.engine.plan import VideoPlan, open_rates, plan_captions, plan_video
from video_pipeline.engine.render.ahead import DrawnAhead, Stretch, settled_segments
from video_pipeline.engine.render.bit_budget import BitBudget, needs_budget
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.mux import Chapter, Mp4Writer
from video_pipeline.engine.render.quality.rates import SegmentRates
from video_pipeline.engine.render.renderer import SegmentRenderer, render_segments
from video_pipeline.engine.render.segment_cache import SegmentCache
from video_pipeline.engine.render.sound.mix import AudioReport
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.spread.plan_data import encode_plan
from video_pipeline.engine.story import Story, load_story, parse_story
from video_pipeline.engine.timing import FrameRange

logger = logging.getLogger(__name__)

Spread = Callable[[Callable[[], bytes], Sequence[int], float], object]
"""Lets other machines draw segments of a plan, given what encodes it (`plan_data.encode_plan`), their numbers and about how many
seconds of one core they take. It need not wait for them."""

LEAST_SPREAD: Final = 2
FRAME_SECONDS: Final = 0.02
"""Seconds of one core for a frame of 1080x1920 with the default profile, drawing and encoding (benchmarks/results/pipeline.md)."""


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
    segments_ahead: int = 0
    segments_from_shared: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the result as plain values; `files` maps roles to paths."""
        return {
            "files": {role: str(path) for role, path in self.outputs.by_role().items()},
            "video_info": self.info.as_dict(),
            "warnings": list(self.warnings),
            "segments": self.segments,
            "segments_from_cache": self.segments_from_cache,
            "segments_from_shared": self.segments_from_shared,
            "timings": {stage: round(seconds, 3) for stage, seconds in self.timings.items()},
        }


def render_story(
    story: Story | Mapping[str, Any] | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    config: Config | Mapping[str, Any] | str | os.PathLike[str] | None = None,
    base: str | os.PathLike[str] | None = None,
    voice_over: Sound | str | os.PathLike[str] | None = None,
    sources: Mapping[str, str | os.PathLike[str]] = MappingProxyType({}),
    beneath: Mapping[Path, Path] = MappingProxyType({}),
    use_cache: bool = True,
    cache_required: bool = True,
    workers: int | None = None,
    max_seconds: float | None = None,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
    spread: Spread | None = None,
) -> RenderResult:
    """Turn a story into a finished video at `output` (.mp4) and the files beside it.

    `story` is a Story, its data or its file; `config` a Config, its data or its file (default: the defaults and the
    environment). All files appear together when the last one is complete. The story's relative paths start at `base`,
    by default the folder of its file; `voice_over`, a sound or its file, is mixed under the whole video. `sources`
    maps descriptions to files that the caller has read, such as the story file: an output that would replace one of
    them, or a file that the story names, is an InputError, and so is a video that would be longer than `max_seconds`.
    `beneath` maps files to the folder that each must be in when it is opened. Setting `stop` ends the render with
    CancelledError. Without `use_cache` the cache is neither read nor written; without `cache_required` a cache that
    cannot be written is a warning even if the configuration names it. `spread` lets other machines draw segments meanwhile, if
    `fleet.store` names a storage that they share. Raises InputError, AssetError or RenderingError;
    then the only new files are those in the cache, from which the next render resumes. Raises TypeError naming an
    argument of a wrong type.
    """
    watch = Stopwatch()
    output, read = as_path(output, "output"), _files_given(story, config, sources)
    check_output_name(output)
    if not isinstance(story, Story | Mapping):
        base = base if base is not None else as_path(story, "story").parent
        story = load_story(story)
    story = parse_story(story)
    config = load_config(config)
    base = as_path(base if base is not None else Path(), "base")
    sound = _voice_over(voice_over)
    max_seconds = as_seconds(max_seconds, "max_seconds")
    kept_in = {
        as_path(path, "beneath"): as_path(folder, "beneath")
        for path, folder in as_instance(beneath, Mapping, "beneath").items()  # type: ignore[type-abstract]
    }
    _check_workers(workers)
    on_event = as_callable(on_event, "on_event")
    stop = None if stop is None else as_instance(stop, threading.Event, "stop")
    outputs = OutputPaths(output)
    check_inputs_kept(
        outputs.by_role().values(),
        [
            *read.items(),
            *files_read(story, config, base=base),
            *([("voice_over", sound.path)] if sound else []),
        ],
    )
    check_output(output)
    with scratch_folder(config) as scratch, DrawnAhead(workers=workers, stop=stop) as ahead:
        if use_cache:
            cache = replace(open_asset_cache(config, required=cache_required), own=scratch / "used")
        else:
            cache = ContentCache(scratch / "cache")
        try:
            plan = plan_video(
                story,
                config=config,
                base=base,
                cache=cache,
                voice_over=sound,
                files=InputFiles(kept_in),
                max_seconds=max_seconds,
                on_event=_unless_stopped(on_event, stop),
                watch=watch,
                begin=(lambda plans: ahead.begin(_stretches(plans, stop=stop))) if use_cache else None,
            )
            _log_plan(plan)
            if spread is not None and use_cache:
                _let_others_draw(plan, as_callable(spread, "spread"))
            chosen = plan.encoding.chosen_encoder
            produce = functools.partial(
                _produce,
                outputs=outputs,
                scratch=scratch,
                watch=watch,
                use_cache=use_cache,
                workers=workers,
                on_event=on_event,
                stop=stop,
            )
            try:
                result = produce(plan, ahead=ahead)
            except EncoderError as error:
                if not error.machine or config.video.codec != "auto":
                    raise
                failed = {chosen.name: error}
                plan = replace(plan, encoding=choose_encoding(config.video, failed=failed))
                other = plan.encoding.chosen_encoder
                logger.warning("%s; the video is encoded again with %s", error.what, other.name)
                result = produce(plan)
        except (RenderingError, OSError) as error:
            if config.error_handling.alert_on_failure and not isinstance(error, CancelledError):
                logger.critical("the render of story %s failed", story.story_id)
            if isinstance(error, RenderingError):
                raise
            raise RenderingError(f"{error.filename or output}: {error.strerror or error}") from error
        if use_cache:
            plan.frames.cache.prune_when_due()
    return result


def _files_given(story: Any, config: Any, sources: Any) -> dict[str, Path]:
    """Return the files that a caller has read, and those of story and configuration, by their descriptions."""
    read = {
        name: as_path(path, f"sources[{name!r}]") for name, path in as_mapping(sources, "sources").items()
    }
    for name, given in (("story", story), ("config", config)):
        if isinstance(given, str | os.PathLike):
            read.setdefault(name, as_path(given, name))
    return read


def _log_plan(plan: VideoPlan) -> None:
    """Log the warnings of a plan, and what draws and encodes it."""
    for warning in plan.frames.warnings:
        logger.warning(warning)
    for part, chosen in (
        ("compositor", plan.frames.chosen_compositor),
        ("encoder", plan.encoding.chosen_encoder),
    ):
        logger.info("%s %s (%s)", part, chosen.name, chosen.reason)
        for line in chosen.log:
            logger.debug("%s", line)


def _check_workers(given: Any) -> None:
    if given is None:
        return
    if isinstance(given, bool) or not isinstance(given, int):
        raise wrong_type(given, "workers", "a whole number, or None")
    if given < 1:
        raise InputError(f"workers: got {given}; allowed: at least 1")


def _voice_over(given: Any) -> Sound | None:
    """Return a voice-over, read from its file if it is given as a path."""
    if given is None or (isinstance(given, Sound) and given.sha256):
        return given
    if isinstance(given, Sound):
        # Without the hash, another file of this length would be mistaken for it in the cache.
        try:
            return replace(given, sha256=file_sha256(given.path))
        except OSError as error:
            raise InputError(f"voice_over: {given.path}: {error.strerror}") from error
    if not isinstance(given, str | os.PathLike):
        raise wrong_type(given, "voice_over", "a Sound, the path of a sound file, or None")
    try:
        return probe_sound(as_path(given, "voice_over"))
    except AssetError as error:
        raise InputError(f"voice_over: {error}") from error


def _unless_stopped(on_event: OnEvent | None, stop: threading.Event | None) -> OnEvent:
    """Return what passes events on, and raises CancelledError at the first one after `stop` is set."""

    def pass_on(event: Event) -> None:
        if stop is not None and stop.is_set():
            raise CancelledError("the render was stopped")
        if on_event is not None:
            on_event(event)

    return pass_on


class _Stop(threading.Event):
    """An event that is set by itself or by another one, which it leaves alone."""

    def __init__(self, other: threading.Event | None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Return whether either event is set."""
        return super().is_set() or (self._other is not None and self._other.is_set())


def _produce(
    plan: VideoPlan,
    *,
    outputs: OutputPaths,
    scratch: Path,
    watch: Stopwatch,
    use_cache: bool,
    workers: int | None,
    on_event: OnEvent | None,
    stop: threading.Event | None,
    ahead: DrawnAhead | None = None,
) -> RenderResult:
    """Mix, draw, encode and mux, then write the files beside the video and publish all of them."""
    report = on_event or (lambda event: None)
    sound = scratch / "sound.m4a"
    cancelled = _Stop(stop)
    watched = watched_frames(plan.frames.timeline)
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
            budget = BitBudget.of(plan.frames.compositor.segments(), plan.encoding.settings)
            rates = open_rates(plan, cached=use_cache)
            try:
                rendered = render_segments(
                    plan.frames.compositor,
                    plan.encoding.settings,
                    writer,
                    before_first=mixing.result,
                    progress=lambda done, total, cached: report(Event("render", done, total, cached)),
                    on_frame=watched,
                    workers=workers,
                    stop=cancelled,
                    cache=_segment_cache(plan, budget or rates) if use_cache else None,
                    budget=budget,
                    rates=rates,
                    session_wait=plan.encoding.session_wait,
                    gpu_memory_bytes=_gpu_memory_bytes(plan),
                    before=ahead.finish() if ahead else None,
                )
            except BaseException:
                cancelled.set()  # the mix stops too
                raise
            finally:
                watched.close()
        if rendered.first_ready is not None:
            watch.seconds[FIRST_SEGMENT] = rendered.first_ready - watch.began
        if told := capped_warning(plan, rendered):
            logger.warning(told)
        warnings = (*rendered.warnings, *([told] if told else []))
        plan.frames.config.error_policy.check(warnings)
        with watch.stage("outputs"):
            report(Event("outputs", 0, 1))
            subtitles.result()
            info, metadata = write_beside(plan, outputs, files, has_thumbnail=thumbnail.result())
        manifest = describe_render(
            plan, outputs, files, sound=mixing.result(), rendered=rendered, warnings=warnings, watch=watch
        )
        write_json(files.stage(outputs.manifest), manifest)
        files.commit()
        report(Event("outputs", 1, 1))
    return RenderResult(
        outputs,
        info,
        metadata,
        (*plan.frames.warnings, *warnings),
        dict(watch.seconds),
        len(rendered.segments),
        rendered.segments_from_cache,
        rendered.segments_ahead,
        rendered.segments_from_shared,
    )


def _let_others_draw(plan: VideoPlan, spread: Spread) -> None:
    """Tell other machines which segments are not cached, the last one first: this render begins with the first.

    What fails there is a warning: the render draws what it does not find when it comes to it.
    """
    place, shared = plan.frames.config.fleet.store, plan.frames.cache.shared
    if place is None or shared is None or needs_budget(plan.encoding.settings):
        return
    segments = plan.frames.compositor.segments()
    cache = _segment_cache(plan, open_rates(plan))
    # With a quality, a segment's key is known once it is probed, which its machine does.
    knows = plan.encoding.settings.quality is None
    wanted = [number for number, frames in enumerate(segments) if not (knows and cache.has(frames))]
    if len(wanted) < LEAST_SPREAD:
        return
    seconds = sum(len(segments[number]) for number in wanted) * _seconds_a_frame(plan)
    try:
        store = open_store(place, endpoint=plan.frames.config.fleet.store_endpoint)
        spread(lambda: encode_plan(plan, store), wanted[::-1], seconds)
    except CancelledError:
        raise
    except (PipelineError, OSError) as error:
        logger.warning("segments are drawn here and not by other machines: %s", error)


def _seconds_a_frame(plan: VideoPlan) -> float:
    """Return about how many seconds of one core a frame takes, to decide whether a video is worth spreading."""
    timeline = plan.frames.timeline
    return FRAME_SECONDS * timeline.width_px * timeline.height_px / (1080 * 1920)


def _stretches(plans: Iterator[VideoPlan], *, stop: threading.Event | None) -> Iterator[Stretch]:
    """Yield the segments of a video's first scenes, and what draws them into the cache."""
    start, renderer, cache = 0, None, None
    for plan in plans:
        if needs_budget(plan.encoding.settings):
            return
        frames = plan.frames
        for segments in settled_segments(frames.timeline, frames.compositor.segments(), start=start):
            if cache is not None and not cache.usable:
                return
            start = segments[-1].stop
            shown = FrameRange(segments[0].start, start)
            drawn = replace(plan, frames=plan_captions(frames, shown=shown, drawn_next=segments[0]))
            rates = open_rates(drawn)
            cache = _segment_cache(drawn, rates)
            renderer = SegmentRenderer(
                drawn.frames.compositor,
                plan.encoding.settings,
                on_frame=watched_frames(plan.frames.timeline),
                stop=stop,
                cache=cache,
                rates=rates,
                session_wait=plan.encoding.session_wait,
                gpu_memory_bytes=_gpu_memory_bytes(plan),
                before=renderer,
            )
            yield Stretch(segments, renderer)


def _gpu_memory_bytes(plan: VideoPlan) -> int:
    return int(plan.frames.config.video.gpu_memory_mb * 1e6)


def _segment_cache(plan: VideoPlan, rates: BitBudget | SegmentRates) -> SegmentCache:
    return SegmentCache(
        plan.frames.cache,
        timeline=plan.frames.timeline,
        captions=plan.frames.captions,
        settings=rates.settings,
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
