"""Decide everything before a frame is drawn.

`plan_timeline` makes the assets and lays them out in time, and `plan_captions` draws the captions. `plan_video` is
both, after `choose_encoding` has decided how frames are encoded.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from video_pipeline.engine.assets.first_scenes import FirstScenes
from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.generate import gather_assets, open_asset_cache
from video_pipeline.engine.assets.grade import prepare_grade
from video_pipeline.engine.assets.lexicon_use import lexicon_warnings
from video_pipeline.engine.assets.models import DrawnPicture, PictureOrigin, Sound, StoryAssets
from video_pipeline.engine.assets.progress_bar import prepare_progress
from video_pipeline.engine.assets.speakers import cast_speakers
from video_pipeline.engine.assets.story_fonts import check_fonts
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.cards.over import draw_title_over
from video_pipeline.engine.cards.scenes import Cards, prepare_cards, timeline_with_cards, with_cards
from video_pipeline.engine.cards.texts import CardTexts
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.input_files import ANY_FILES, InputFiles
from video_pipeline.engine.common.registry import Selection
from video_pipeline.engine.compose import compose
from video_pipeline.engine.config import Config
from video_pipeline.engine.config.looks import with_look
from video_pipeline.engine.errors import ConfigError, StoryError
from video_pipeline.engine.events import Event, OnEvent, Stopwatch
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram, find_ffmpeg
from video_pipeline.engine.machine.hwaccel import with_hwaccel
from video_pipeline.engine.render.bit_budget import BitBudget
from video_pipeline.engine.render.captions.draw import CaptionArt, draw_captions, plainer_captions
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.choice import choose_compositor, load_compositor
from video_pipeline.engine.render.encoders.choice import Encoding, choose_encoding
from video_pipeline.engine.render.quality.rates import PROBE_IDENTITY, PROBES, SegmentRates
from video_pipeline.engine.render.segment_cache import SegmentCache
from video_pipeline.engine.story import Story, StoryScene, story_scenes
from video_pipeline.engine.story.asset_fields import NO_GRADE, NO_WATERMARK
from video_pipeline.engine.story.code_blocks import code_warnings
from video_pipeline.engine.timeline import Footage, Grade, Timeline, Watermark
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.typeset import FontStack

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FramePlan:
    """Everything needed to draw the frames of a video. Captions are added by `plan_captions`."""

    story: Story
    config: Config
    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    compositor: Compositor
    chosen_compositor: Selection
    ffmpeg: FfmpegProgram
    fonts: FontCatalogue
    title_fonts: FontStack
    cache: ContentCache
    warnings: tuple[str, ...]
    paid: tuple[Mapping[str, Any], ...] = ()
    origins: Mapping[str, PictureOrigin] = field(default_factory=dict)
    drawn: Mapping[str, DrawnPicture] = field(default_factory=dict)
    paid_pictures: tuple[Mapping[str, Any], ...] = ()
    title_over: CardTexts | None = None
    unpainted: frozenset[int] = frozenset()
    """The scenes whose picture a service was not asked for yet."""
    unspoken: frozenset[int] = frozenset()
    """The scenes whose length is an estimate, because their narration is not spoken yet."""


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """Everything that is decided before a frame is drawn and encoded."""

    frames: FramePlan
    encoding: Encoding

    @property
    def gpu_memory_bytes(self) -> int:
        """The memory of each GPU that drawing, and frames for its encoder, may take."""
        return int(self.frames.config.video.gpu_memory_mb * 1e6)


BeginFrames = Callable[[Iterator[FramePlan]], object]
BeginVideo = Callable[[Iterator[VideoPlan]], object]
"""Is called with the plans of a video's first scenes while assets are made: each has more scenes than the one before.

The plans may be taken on another thread. All frames before the last scene's are those of the whole video.
"""


@dataclass(slots=True, kw_only=True)
class _Layout:
    """What lays scenes out: all of them, or the first ones while the assets of others are made. Thread-safe."""

    story: Story
    scenes: tuple[StoryScene, ...]
    config: Config
    base: Path
    cache: ContentCache
    watermark: Watermark | None
    grade: Grade | None
    fonts: FontCatalogue
    title_fonts: FontStack
    chosen: Selection
    ffmpeg_search: Future[FfmpegProgram]
    max_seconds: float | None
    cards: Cards
    warnings: tuple[str, ...]
    _opened: dict[str | None, Compositor] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def plan(self, assets: StoryAssets, *, watch: Stopwatch) -> FramePlan:
        """Return the plan of the scenes that have assets; errors as in plan_timeline."""
        with watch.stage("compose"):
            scenes, assets = with_cards(
                self.cards, self.scenes, assets, config=self.config, grade=self.grade, cache=self.cache
            )
            composition = compose(
                self.story, scenes, assets, config=self.config, base=self.base, apart=self.cards.scene_ids
            )
        timeline = replace(
            timeline_with_cards(composition.timeline, self.cards, self.grade), watermark=self.watermark
        )
        timeline = replace(
            timeline, progress=prepare_progress(self.config.progress_bar, timeline, cache=self.cache)
        )
        if self.max_seconds is not None and timeline.duration > self.max_seconds:
            raise StoryError(
                f"the video would last {float(timeline.duration):.1f} s; "
                f"node.max_video_seconds allows {self.max_seconds:g}"
            )
        with watch.stage("check"):
            decoded = any(
                isinstance(clip.source, Footage) and clip.source.exact_pix_fmt for clip in timeline.clips
            )
            ffmpeg = with_hwaccel(self.ffmpeg_search.result(), self.config.video.hwaccel, clips=decoded)
        return FramePlan(
            story=self.story,
            config=self.config,
            timeline=timeline,
            captions=(),
            compositor=self._compositor(timeline, ffmpeg),
            chosen_compositor=self.chosen,
            ffmpeg=ffmpeg,
            fonts=self.fonts,
            title_fonts=self.title_fonts,
            cache=self.cache,
            title_over=self.cards.over,
            warnings=(*self.warnings, *assets.warnings, *composition.warnings),
            paid=assets.paid,
            origins=assets.origins,
            drawn=assets.drawn,
            paid_pictures=assets.paid_pictures,
            unpainted=assets.unpainted,
            unspoken=assets.unspoken,
        )

    def _compositor(self, timeline: Timeline, ffmpeg: FfmpegProgram) -> Compositor:
        """Return the compositor of a timeline; those of one layout share what they have loaded."""
        with self._lock:
            opened = self._opened.get(ffmpeg.hwaccel)
            if opened is None:
                opened = load_compositor(self.chosen.name).open(timeline, ffmpeg=ffmpeg, config=self.config)
                self._opened[ffmpeg.hwaccel] = opened
                return opened
        return opened.with_timeline(timeline)


def plan_timeline(
    story: Story,
    *,
    config: Config,
    base: Path = Path(),
    cache: ContentCache | None = None,
    voice_over: Sound | None = None,
    files: InputFiles = ANY_FILES,
    max_seconds: float | None = None,
    speak: Collection[int] | None = None,
    on_event: OnEvent | None = None,
    watch: Stopwatch | None = None,
    begin: BeginFrames | None = None,
) -> FramePlan:
    """Make the assets of a story and lay them out on a timeline, still without captions.

    The story's relative paths start at `base`; `files` opens what it names. With `speak`, only the scenes with these
    numbers, cards included, are spoken, and services asked for their pictures; the length of others that are not cached is an estimate.
    `begin` gets plans of the first scenes meanwhile. Raises InputError for a wrong story or
    configuration and for a video that would be longer than `max_seconds`, AssetError for an asset that failed.
    """
    watch = watch or Stopwatch()
    config = _looped(config, story)
    report = on_event or (lambda event: None)
    cache = cache or open_asset_cache(config)
    config = with_look(config, story.look)
    with watch.stage("check"):
        ffmpeg_search = _start(
            find_ffmpeg, replace(cache, own=None)
        )  # this call may outlive the render's own files
        chosen = choose_compositor(config)
        fonts = FontCatalogue(files=files, language=story.language_tag)
        letters = check_fonts(story, story_scenes(story), config=config, catalogue=fonts, base=base)
        config = letters.config
        cast = cast_speakers(story, letters.scenes, config=config)
        scenes = cast.scenes
        lost_code = code_warnings(story.content) if story.scenes is None else ()
    with watch.stage("assets"):
        watermark, unmarked = _watermark(config, cache, files)
        grade, ungraded = _grade(story, config, base=base, cache=cache, files=files)
        cards = prepare_cards(
            story, scenes, config=config, catalogue=fonts, base=base, cache=cache, files=files
        )
        said = (*scenes, cards.spoken) if cards.spoken is not None else scenes
        unheard = lexicon_warnings(story, said, config=config)
        layout = _Layout(
            story=story,
            scenes=scenes,
            config=config,
            base=base,
            cache=cache,
            watermark=watermark,
            grade=grade,
            fonts=fonts,
            title_fonts=letters.title,
            chosen=chosen,
            ffmpeg_search=ffmpeg_search,
            max_seconds=max_seconds,
            cards=cards,
            warnings=(*lost_code, *letters.warnings, *cast.warnings, *unheard, *unmarked, *ungraded),
        )

        def begin_first(first: FirstScenes) -> None:
            # Cuts on beats depend on the music, and later scenes may move them; a progress bar depends on the length.
            if begin is not None and not (config.scenes.transition_on_beat or config.progress_bar.show):
                begin(layout.plan(some, watch=Stopwatch()) for some in first.growing())

        assets = gather_assets(
            story,
            scenes,
            config=config,
            cache=cache,
            base=base,
            files=files,
            speak=cards.of_story(speak, count=len(scenes)),
            title=cards.spoken,
            progress=lambda done, total: report(Event("assets", done, total)),
            voices=cast.voices,
            on_first=begin_first,
        )
    if voice_over is not None:
        assets = replace(assets, voice_over=voice_over)
    return layout.plan(assets, watch=watch)


def plan_captions(
    plan: FramePlan, *, shown: FrameRange | None = None, drawn_next: FrameRange | None = None
) -> FramePlan:
    """Return the plan with its captions drawn: all of them, or those seen in the frames `shown`.

    If a caption is not cached and must be drawn, the pictures of the frames `drawn_next` are loaded at the same time.
    Raises InputError if the plan has warnings and the error policy forbids them.
    """
    cache = plan.cache
    if drawn_next is not None:
        # If a caption is not cached, its frames are not either, so their pictures are needed next.
        prepare = functools.partial(plan.compositor.prepare, drawn_next)
        cache = replace(cache, on_make=functools.cache(prepare))
    filtered = load_compositor(plan.compositor.name).filter_captions
    captions = draw_captions(plan.timeline, fonts=plan.fonts, cache=cache, drawtext=filtered, shown=shown)
    warnings = (*plan.warnings, *(plainer_captions(plan.timeline) if filtered else ()))
    if plan.title_over is not None:
        title, told = draw_title_over(
            plan.title_over,
            plan.timeline,
            platform=plan.config.captions.platform,
            fonts=plan.fonts,
            cache=cache,
        )
        captions, warnings = (*captions, *([title] if title is not None else ())), (*warnings, *told)
    plan.config.error_policy.check(warnings)
    return replace(
        plan, captions=captions, compositor=plan.compositor.with_captions(captions), warnings=warnings
    )


def plan_video(
    story: Story,
    *,
    config: Config,
    base: Path = Path(),
    cache: ContentCache | None = None,
    voice_over: Sound | None = None,
    files: InputFiles = ANY_FILES,
    max_seconds: float | None = None,
    on_event: OnEvent | None = None,
    watch: Stopwatch | None = None,
    begin: BeginVideo | None = None,
) -> VideoPlan:
    """Return the plan of a whole render; arguments and errors as in plan_timeline.

    The encoder is chosen first, so that a wrong option fails before any asset is made.
    """
    watch = watch or Stopwatch()
    with watch.stage("check"):
        encoding = choose_encoding(config.video)

    def begin_frames(plans: Iterator[FramePlan]) -> None:
        if begin is not None:
            begin(VideoPlan(plan, encoding) for plan in plans)

    plan = plan_timeline(
        story,
        config=config,
        base=base,
        cache=cache,
        voice_over=voice_over,
        files=files,
        max_seconds=max_seconds,
        on_event=on_event,
        watch=watch,
        begin=begin_frames,
    )
    with watch.stage("captions"):
        first = FrameRange(0, plan.compositor.segments()[: cpu_count()][-1].stop)
        return VideoPlan(plan_captions(plan, drawn_next=first), encoding)


def open_rates(plan: VideoPlan, *, cached: bool = True) -> SegmentRates:
    """Return the rates of a plan's segments, kept in its cache if they are to be `cached`."""
    frames, settings = plan.frames, plan.encoding.settings
    cache = SegmentCache(
        frames.cache,
        timeline=frames.timeline,
        captions=frames.captions,
        settings=settings,
        compositor={**frames.compositor.identity(), **PROBE_IDENTITY},
        kind=PROBES,
    )
    return SegmentRates(frames.compositor, settings, cache=cache if cached else None)


def segment_cache(plan: VideoPlan, rates: BitBudget | SegmentRates) -> SegmentCache:
    """Return the cache of a plan's encoded segments."""
    return SegmentCache(
        plan.frames.cache,
        timeline=plan.frames.timeline,
        captions=plan.frames.captions,
        settings=rates.settings,
        compositor=plan.frames.compositor.identity(),
    )


def _looped(config: Config, story: Story) -> Config:
    """Return the configuration with the story's own `loop`; the music of a video that repeats does not fade."""
    loop = config.scenes.loop if story.loop is None else story.loop
    if not loop and not config.scenes.loop:
        return config
    music_fade = 0.0 if loop else config.audio.music_fade
    return config.model_copy(
        update={
            "scenes": config.scenes.model_copy(update={"loop": loop}),
            "audio": config.audio.model_copy(update={"music_fade": music_fade}),
        }
    )


def _watermark(
    config: Config, cache: ContentCache, files: InputFiles
) -> tuple[Watermark | None, tuple[str, ...]]:
    """Return the watermark of a video, and a warning if it is left out."""
    try:
        watermark = prepare_watermark(
            config.watermark,
            frame_px=config.video.canvas_px(),
            cache=cache,
            max_megapixels=config.images.max_megapixels,
            files=files,
        )
    except ConfigError as error:
        return None, (config.error_policy.replace(error, instead=NO_WATERMARK),)
    return watermark, ()


def _grade(
    story: Story, config: Config, *, base: Path, cache: ContentCache, files: InputFiles
) -> tuple[Grade | None, tuple[str, ...]]:
    """Return the grade of a video, and a warning if it is left out."""
    try:
        return prepare_grade(config.grade, story, base=base, cache=cache, files=files), ()
    except (StoryError, ConfigError) as error:
        return None, (config.error_policy.replace(error, instead=NO_GRADE),)


def _start(call: Callable[[ContentCache], T], cache: ContentCache) -> Future[T]:
    """Start a call in a thread of its own and return its future."""
    pool = ThreadPoolExecutor(1, "begun")
    try:
        return pool.submit(call, cache)
    finally:
        pool.shutdown(wait=False)
