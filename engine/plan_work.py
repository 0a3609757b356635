"""Draw segments of a plan that another machine has made, and join them: the same bytes on every machine, or a reason.

`draw_segment` and `join_segments` open the plan each time; a worker that draws several keeps it open by `open_plan`.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.generate import open_asset_cache, scratch_folder
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.common.files import StagedFiles, private_file
from video_pipeline.engine.common.object_store import ObjectStore, get_sealed, put_sealed
from video_pipeline.engine.common.registry import Selection
from video_pipeline.engine.common.shared_cache import SharedCache, shared_key
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.load import validate
from video_pipeline.engine.errors import CancelledError, PlanError, RenderingError, UnavailableError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram, find_ffmpeg
from video_pipeline.engine.machine.hwaccel import with_hwaccel
from video_pipeline.engine.outputs.frame_choice import pick_frame, watch_of
from video_pipeline.engine.outputs.paths import OutputPaths
from video_pipeline.engine.outputs.write import check_output, thumbnail_of_frame, write_subtitles
from video_pipeline.engine.plan import FramePlan, VideoPlan, open_rates, segment_cache
from video_pipeline.engine.plan_data import (
    LEFT_OUT,
    SECTIONS,
    PlanData,
    decode_plan,
    fetch_file,
    files_of_segment,
    why_whole,
)
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.choice import load_compositor, probe_compositor
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.mux import Chapter, Mp4Writer
from video_pipeline.engine.render.renderer import SegmentRenderer, render_segments
from video_pipeline.engine.render.segment_cache import CachedSegment, SegmentCache, pack
from video_pipeline.engine.render.segment_key import encoding_versions, segment_key
from video_pipeline.engine.render.sound.track import produce_sound
from video_pipeline.engine.story import parse_story
from video_pipeline.engine.timeline import Footage
from video_pipeline.engine.timing import FrameRange, frames_round

CONTENT: Final = "content"
"""The folder of the content cache for files of plans."""

SAME_BYTES: Final = ("cuda", "native")
"""Compositors that draw the same bytes; a machine uses the first that works on it."""


@dataclass(slots=True)
class OpenPlan:
    """A plan that is open on this machine. `draw` may be called on several threads, `join` once."""

    data: PlanData
    plan: VideoPlan
    store: ObjectStore
    scratch: Path
    stop: threading.Event | None = None
    _content: ContentCache = field(kw_only=True)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def segments(self) -> tuple[FrameRange, ...]:
        """The segments, in order."""
        return tuple(each.frames for each in self.data.segments)

    def draw(self, number: int) -> str:
        """Draw and encode a segment, store it in the shared storage and return its key; errors as in `draw_segment`."""
        if not 0 <= number < len(self.segments):
            raise PlanError(
                f"segment: got {number}; allowed: 0 to {len(self.segments) - 1}", reason="damaged"
            )
        self._check_stopped()
        frames = self.segments[number]
        self._fetch(files_of_segment(self.data, frames))
        self._check_key(number)
        rates = open_rates(self.plan)
        cache = segment_cache(self.plan, rates)
        watched = watch_of(self.data.timeline)
        renderer = SegmentRenderer(
            self.plan.frames.compositor,
            self.plan.encoding.settings,
            rates=rates,
            threads=cpu_count(),
            on_frame=watched,
            stop=self.stop,
            cache=cache,
            session_wait=self.plan.encoding.session_wait,
            gpu_memory_bytes=self.plan.gpu_memory_bytes,
        )
        data = renderer.segment(frames, None)
        if renderer.children.warnings:
            raise PlanError(
                f"frames [{frames.start}, {frames.stop}): {renderer.children.warnings[0]}; draw this video on one machine, "
                "whose render tells of it",
                reason="whole",
            )
        key = cache.key(frames)
        if key is None:
            raise RenderingError(
                f"frames [{frames.start}, {frames.stop}): a file is gone since they were drawn"
            )
        name = shared_key("segments", f"{key}.segment")
        # The cache has stored it, unless the storage was away.
        if get_sealed(self.store, name) is None:
            put_sealed(self.store, name, pack(key, CachedSegment(data, watched.notes(frames))))
        return key

    def join(self, keys: Sequence[str], output: Path, *, workers: int | None = None) -> OutputPaths:
        """Write the video of drawn segments, its thumbnail and subtitles; errors as in `join_segments`."""
        if len(keys) != len(self.segments):
            raise PlanError(
                f"keys: got {len(keys)}; allowed: {len(self.segments)}, one a segment", reason="damaged"
            )
        outputs = OutputPaths(check_output(output))
        self._fetch(self.data.files)
        for number in range(len(keys)):
            self._check_key(number)
        plan, frames = self.plan, self.plan.frames
        cancelled, watched = threading.Event(), watch_of(self.data.timeline)
        rates = open_rates(plan)
        cache = segment_cache(plan, rates)
        if plan.encoding.settings.quality is None:
            self._check_keys(keys, cache)
        sound = self.scratch / "sound.m4a"
        with StagedFiles(outputs.video.parent) as files, ThreadPoolExecutor(1, "sound") as side:
            writer = Mp4Writer(
                files.stage(outputs.video),
                fps=frames.timeline.fps,
                title=frames.timeline.title,
                chapters=[Chapter(shown, name) for shown, name in frames.timeline.chapters()],
                edit_list=frames.config.video.edit_list,
                audio=sound,
            )
            with writer:
                mixing = side.submit(
                    produce_sound,
                    frames.timeline,
                    settings=frames.config.audio,
                    target=sound,
                    cache=frames.cache,
                    ffmpeg=frames.ffmpeg.path,
                    ffmpeg_version=frames.ffmpeg.version,
                    cancelled=lambda: cancelled.is_set() or (self.stop is not None and self.stop.is_set()),
                )
                try:
                    render_segments(
                        frames.compositor,
                        plan.encoding.settings,
                        writer,
                        before_first=mixing.result,
                        on_frame=watched,
                        workers=workers,
                        stop=self.stop,
                        cache=cache,
                        rates=rates,
                        session_wait=plan.encoding.session_wait,
                        gpu_memory_bytes=plan.gpu_memory_bytes,
                    )
                except BaseException:
                    cancelled.set()
                    raise
                finally:
                    watched.close()
            write_subtitles(frames, outputs, files)
            best = watched.best
            if best is None:
                best = frames_round(pick_frame(files.path(outputs.video)).time, frames.timeline.fps)
            thumbnail_of_frame(plan, files.stage(outputs.thumbnail), best)
            files.commit()
        return outputs

    def _check_stopped(self) -> None:
        if self.stop is not None and self.stop.is_set():
            raise CancelledError("the render was stopped")

    def _fetch(self, files: Mapping[Path, str]) -> None:
        """Copy files of the plan into the plan's own folder, from this machine's cache if they are there.

        They are no links: other processes touch the cached file, and the clips of a render must not change.
        """
        with self._lock:
            for path, sha256 in files.items():
                if path.exists():
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                with private_file(path) as copy:
                    try:
                        cached, _ = self._content.get_or_make(
                            CONTENT,
                            {"sha256": sha256},
                            path.suffix,
                            partial(fetch_file, sha256=sha256, store=self.store),
                        )
                        shutil.copyfile(cached, copy)
                    except FileNotFoundError:  # it was pruned just now
                        copy.unlink(missing_ok=True)
                    if not copy.exists() or file_sha256(copy) != sha256:
                        copy.unlink(missing_ok=True)
                        fetch_file(copy, sha256=sha256, store=self.store)
                    copy.replace(path)

    def _check_key(self, number: int) -> None:
        """Raise PlanError if this machine would draw other bytes than the planner for a segment."""
        planned, frames = self.data.segments[number], self.plan.frames
        own = segment_key(
            frames.timeline,
            frames.captions,
            planned.frames,
            settings=self.plan.encoding.settings,
            compositor=frames.compositor.identity(),
        )
        if own == planned.key:
            return
        other = _differences(self.data.compositor["identity"], frames.compositor.identity(), "compositor")
        other += _differences(
            self.data.encoder_versions, encoding_versions(self.data.settings.encoder), "encoder"
        )
        why = "; ".join(other) or "its frames have another key"
        raise PlanError(
            f"segment {number}: this machine would draw other bytes: {why:.600}", reason="machine"
        )

    def _check_keys(self, keys: Sequence[str], cache: SegmentCache) -> None:
        for number, (frames, key) in enumerate(zip(self.segments, keys, strict=True)):
            if cache.key(frames) != key:
                raise PlanError(
                    f"keys: segment {number} has the key {cache.key(frames)} here, not {key!r:.80}",
                    reason="machine",
                )


@contextmanager
def open_plan(
    plan: bytes,
    *,
    store: ObjectStore,
    config: Config | Mapping[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> Iterator[OpenPlan]:
    """Open a plan that `encode_plan` has made, until the block ends.

    `config` is this machine's own configuration, of which the folders, GPUs and limits count. Setting `stop` ends what is
    drawn. Raises PlanError with its `reason`, and ConfigError for a wrong configuration.
    """
    own = load_config(config)
    with scratch_folder(own) as scratch:
        cache = replace(open_asset_cache(own, required=False), own=scratch / "used", shared=None)

        def find(sha256: str, suffix: str) -> Path:
            return scratch / CONTENT / f"{sha256}{suffix}"

        data = decode_plan(plan, find=find)
        if (why := why_whole(data.settings)) is not None:
            raise PlanError(why, reason="whole")
        opened = _opened_here(data, own, replace(cache, shared=SharedCache(store)))
        yield OpenPlan(data, opened, store, scratch, stop, _content=replace(cache, own=None))


def draw_segment(
    plan: bytes,
    number: int,
    *,
    store: ObjectStore,
    config: Config | Mapping[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> str:
    """Draw and encode a segment of a plan, put it into the shared storage and return its key.

    Its bytes are those that every other machine makes; a machine that would make other ones refuses. `number` counts from 0.
    Raises PlanError with its `reason`, RenderingError, EncoderError, CancelledError if `stop` is set, and StoreError if the
    storage cannot be read or written.
    """
    with open_plan(plan, store=store, config=config, stop=stop) as opened:
        return opened.draw(number)


def join_segments(
    plan: bytes,
    keys: Sequence[str],
    output: Path,
    *,
    store: ObjectStore,
    config: Config | Mapping[str, Any] | None = None,
    stop: threading.Event | None = None,
) -> OutputPaths:
    """Write the video of drawn segments, given their keys in order, with its sound, thumbnail and subtitles.

    The files are those of a render on one machine, byte for byte. A segment that is missing or damaged is drawn here. The
    metadata and the manifest are written where the story is. Errors as in `draw_segment`.
    """
    with open_plan(plan, store=store, config=config, stop=stop) as opened:
        return opened.join(keys, output)


def _opened_here(data: PlanData, own: Config, cache: ContentCache) -> VideoPlan:
    """Return the plan with the programs of this machine; raise PlanError (`machine`) if it lacks what the plan needs."""
    sections = {name: dict(data.config[name]) for name in SECTIONS}
    kept = own.model_dump(exclude_unset=True)
    for name in SECTIONS:
        mine = kept.get(name, {})
        sections[name] |= {key: mine[key] for key in LEFT_OUT[name] if key in mine}
    sections["video"]["codec"] = data.settings.encoder
    sections["video"]["compositor"] = "auto"
    config = validate({**kept, **sections}, where="plan")
    try:
        encoding = choose_encoding(config.video)
        ffmpeg = find_ffmpeg(replace(cache, own=None, shared=None))
        decoded = any(
            isinstance(clip.source, Footage) and clip.source.exact_pix_fmt for clip in data.timeline.clips
        )
        ffmpeg = with_hwaccel(ffmpeg, config.video.hwaccel, clips=decoded)
        compositor, chosen = _compositor(data, config, ffmpeg)
    except UnavailableError as error:
        raise PlanError(f"this machine cannot draw the plan: {error}", reason="machine") from error
    if encoding.settings != data.settings:
        other = _differences(data.settings.describe(), encoding.settings.describe(), "encoder")
        raise PlanError(
            f"this machine would encode otherwise: {'; '.join(other) or data.settings.encoder:.600}",
            reason="machine",
        )
    if compositor.segments() != tuple(each.frames for each in data.segments):
        raise PlanError("the plan is damaged: its segments are not those of its timeline", reason="damaged")
    metadata = {} if data.language is None else {"language": data.language}
    frames = FramePlan(
        story=parse_story({"title": data.title, "content": "-", "metadata": metadata}),
        config=config,
        timeline=data.timeline,
        captions=data.captions,
        compositor=compositor,
        chosen_compositor=chosen,
        ffmpeg=ffmpeg,
        fonts=FontCatalogue(),
        title_fonts=data.title_fonts,
        cache=cache,
        warnings=(),
    )
    return VideoPlan(frames, encoding)


def _compositor(data: PlanData, config: Config, ffmpeg: FfmpegProgram) -> tuple[Compositor, Selection]:
    """Return the compositor of this machine that draws a plan's bytes; raise UnavailableError."""
    wanted = data.compositor["name"]
    refused = []
    for name in SAME_BYTES if wanted in SAME_BYTES else (wanted,):
        probe = probe_compositor(name, config)
        if probe.works:
            opened = load_compositor(name).open(data.timeline, data.captions, ffmpeg=ffmpeg, config=config)
            return opened, Selection(name, f"draws the bytes of {wanted}")
        refused.append(f"{name}: {probe.reason}")
    raise UnavailableError("; ".join(refused))


def _differences(planned: Mapping[str, Any], own: Mapping[str, Any], what: str) -> list[str]:
    """Return which values of a plan this machine has otherwise."""
    found = []
    for name in sorted({*planned, *own}):
        there, here = planned.get(name), own.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            found += _differences(there, here, f"{what} {name}")
        elif there != here:
            found.append(f"{what} {name} is {here!r:.120}, planned with {there!r:.120}")
    return found
