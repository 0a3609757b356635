"""Draw one segment of a plan, on this machine or another, into the cache that machines share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from video_pipeline.engine.assets.cache_folder import open_asset_cache, scratch_folder
from video_pipeline.engine.common.arguments import as_instance, wrong_type
from video_pipeline.engine.common.object_store import ObjectStore
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.machine.hwaccel import with_hwaccel
from video_pipeline.engine.outputs.frame_choice import watched_frames
from video_pipeline.engine.render.compositors.choice import load_compositor
from video_pipeline.engine.render.quality.rates import PROBE_IDENTITY, PROBES, SegmentRates
from video_pipeline.engine.render.renderer import SegmentRenderer
from video_pipeline.engine.render.segment_cache import SegmentCache
from video_pipeline.engine.spread.plan_data import DrawingPlan, check_identity, decode_plan
from video_pipeline.engine.timeline import Footage


@dataclass(frozen=True, slots=True)
class DrawnSegment:
    """A segment of a plan: its frames, its size in bytes, and whether it had been drawn before."""

    number: int
    start: int
    stop: int
    size: int
    was_cached: bool


class PlanDrawer:
    """Draws segments of one plan; what was loaded for one is used for the next. Use it in one thread.

    The plan's files are written into `folder`, which nobody else uses: a file's links and times are part of what tells that it
    has not changed. `data` is what `encode_plan` returned. Raises InputError if it is no plan, UnavailableError if this machine would make
    other bytes, RenderingError. `progress` gets the frames that are done, those of the video, and those that were cached.
    """

    def __init__(
        self,
        data: bytes,
        *,
        store: ObjectStore,
        config: Config,
        folder: Path,
        stop: threading.Event | None = None,
        progress: Callable[[int, int, int], None] | None = None,
    ) -> None:
        self._stop, self._progress = stop, progress
        self._cache = open_asset_cache(config, required=False)
        self.plan: DrawingPlan = decode_plan(data, store, folder)
        settings = config.override("video", **self.plan.video)
        decoded = any(
            isinstance(clip.source, Footage) and clip.source.exact_pix_fmt
            for clip in self.plan.timeline.clips
        )
        ffmpeg = with_hwaccel(find_ffmpeg(self._cache), settings.video.hwaccel, clips=decoded)
        opened = load_compositor(self.plan.compositor).open(
            self.plan.timeline, ffmpeg=ffmpeg, config=settings
        )
        check_identity(data, self.plan, opened.identity())
        self._compositor = opened.with_captions(self.plan.captions)
        self.segments = self._compositor.segments()
        probes = self._segment_cache(kind=PROBES, identity=PROBE_IDENTITY)
        self._rates = SegmentRates(self._compositor, self.plan.settings, cache=probes)
        self._gpu_memory_bytes = int(settings.video.gpu_memory_mb * 1e6)
        self._renderer: SegmentRenderer | None = None

    def draw(self, number: int) -> DrawnSegment:
        """Draw and encode a segment, unless this machine or the shared cache has it."""
        if not 0 <= number < len(self.segments):
            raise InputError(f"segment: got {number}; allowed: 0 to {len(self.segments) - 1}")
        frames = self.segments[number]
        self._renderer = SegmentRenderer(
            self._compositor,
            self.plan.settings,
            rates=self._rates,
            threads=cpu_count(),
            progress=self._progress,
            on_frame=watched_frames(self.plan.timeline),
            stop=self._stop,
            cache=self._segment_cache(),
            session_wait=self.plan.session_wait,
            gpu_memory_bytes=self._gpu_memory_bytes,
            before=self._renderer,
        )
        data = self._renderer.segment(frames, None)
        was_cached = frames in self._renderer.work.cached and frames not in self._renderer.work.drawn
        return DrawnSegment(number, frames.start, frames.stop, len(data), was_cached)

    def _segment_cache(
        self, *, kind: str = "segments", identity: Mapping[str, object] | None = None
    ) -> SegmentCache:
        rates = self.plan.settings if kind == PROBES else self._rates.settings
        return SegmentCache(
            self._cache,
            timeline=self.plan.timeline,
            captions=self.plan.captions,
            settings=rates,
            compositor={**self._compositor.identity(), **(identity or {})},
            kind=kind,
        )


def draw_segment(
    data: bytes,
    number: int,
    *,
    store: ObjectStore,
    config: Config,
    stop: threading.Event | None = None,
) -> DrawnSegment:
    """Draw and encode segment `number` of the plan `data` into the cache that machines share.

    The render that made the plan finds it there. `config` is this machine's own; its `fleet.store` names the shared storage,
    which is `store`. Raises as PlanDrawer does, and TypeError naming an argument of a wrong type.
    """
    data = as_instance(data, bytes, "data")
    if isinstance(number, bool) or not isinstance(number, int):
        raise wrong_type(number, "number", "a whole number")
    config = as_instance(config, Config, "config")
    stop = None if stop is None else as_instance(stop, threading.Event, "stop")
    with scratch_folder(config) as folder:
        return PlanDrawer(data, store=store, config=config, folder=folder, stop=stop).draw(number)
