"""Everything that is decided before a frame is drawn."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from video_pipeline.engine.assets.fonts import FontCatalogue
from video_pipeline.engine.assets.generate import gather_assets, open_asset_cache
from video_pipeline.engine.assets.models import Sound
from video_pipeline.engine.assets.watermark import prepare_watermark
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.compose import check_fonts, compose
from video_pipeline.engine.config import Config
from video_pipeline.engine.events import Event, OnEvent, Stopwatch
from video_pipeline.engine.machine.cores import cpu_count
from video_pipeline.engine.machine.encoders import EncoderChoice, choose_encoder
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram, find_ffmpeg
from video_pipeline.engine.render.captions.draw import CaptionArt, draw_captions, plainer_captions
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.choice import choose_compositor, open_compositor
from video_pipeline.engine.render.encoder import EncoderSettings, encoder_settings
from video_pipeline.engine.story import Story, story_scenes
from video_pipeline.engine.timeline import Timeline
from video_pipeline.engine.timing import FrameRange

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is decided before a frame is drawn."""

    story: Story
    config: Config
    timeline: Timeline
    captions: tuple[CaptionArt, ...]
    compositor: Compositor
    ffmpeg: FfmpegProgram
    compositor_reason: str
    encoder: EncoderChoice
    settings: EncoderSettings
    cache: ContentCache
    warnings: tuple[str, ...]


def plan_video(
    story: Story,
    *,
    config: Config,
    base: Path = Path(),
    cache: ContentCache | None = None,
    voice_over: Sound | None = None,
    on_event: OnEvent | None = None,
    watch: Stopwatch | None = None,
    only: Callable[[Timeline], FrameRange] | None = None,
    to_be_drawn: bool = True,
) -> Plan:
    """Decide everything: scenes, assets, timeline, captions, encoder and compositor.

    `base` is the folder that the story's relative paths are taken from; `only` says which frames of the
    timeline are wanted, so that captions elsewhere are left out. Where the plan is `to_be_drawn` the first pictures
    are begun before it is whole. Raises InputError for what is wrong in story or configuration, AssetError
    for an asset that failed.
    """
    watch = watch or Stopwatch()
    report = on_event or (lambda event: None)
    cache = cache or open_asset_cache(config)
    with watch.stage("check"):
        finding = _begin(find_ffmpeg, cache)
        drawn_by = choose_compositor(config.video.compositor)
        encoder = choose_encoder(config.video.codec)
        settings = encoder_settings(encoder.name, config.video)
        fonts = FontCatalogue()
        scenes = story_scenes(story)
        check_fonts(scenes, config, fonts, base=base)
    with watch.stage("assets"):
        watermark = prepare_watermark(
            config.watermark,
            frame_px=config.video.canvas_px(),
            cache=cache,
            max_megapixels=config.images.max_megapixels,
        )
        assets = gather_assets(
            story,
            scenes,
            config=config,
            cache=cache,
            base=base,
            progress=lambda done, total: report(Event("assets", done, total)),
        )
    if voice_over is not None:
        assets = replace(assets, voice_over=voice_over)
    with watch.stage("compose"):
        composition = compose(story, scenes, assets, config=config, base=base)
    timeline = replace(composition.timeline, watermark=watermark)
    with watch.stage("check"):
        ffmpeg = finding.result()
    compositor = open_compositor(drawn_by.name, timeline, (), ffmpeg=ffmpeg, config=config)
    wanted = only(timeline) if only else None
    with watch.stage("captions"):
        shown = timeline if wanted is None else with_captions_in(timeline, wanted)
        making = cache
        if to_be_drawn:
            first = wanted or FrameRange(0, compositor.segments()[: cpu_count()][-1].stop)
            # A caption that has to be drawn is of frames that have to be drawn, too: their pictures are begun beside it.
            making = replace(cache, on_make=functools.cache(functools.partial(compositor.prepare, first)))
        captions = draw_captions(shown, fonts=fonts, cache=making, drawtext=drawn_by.name == "ffmpeg")
    compositor = compositor.with_captions(captions)
    return Plan(
        story=story,
        config=config,
        timeline=timeline,
        captions=captions,
        compositor=compositor,
        ffmpeg=ffmpeg,
        compositor_reason=drawn_by.reason,
        encoder=encoder,
        settings=settings,
        cache=cache,
        warnings=(
            *assets.warnings,
            *composition.warnings,
            *(plainer_captions(timeline) if drawn_by.name == "ffmpeg" else ()),
            *_missing_letters(captions),
        ),
    )


def _begin(call: Callable[[ContentCache], T], cache: ContentCache) -> Future[T]:
    """Return what a call will return, on a thread of its own."""
    pool = ThreadPoolExecutor(1, "begun")
    try:
        return pool.submit(call, cache)
    finally:
        pool.shutdown(wait=False)


def with_captions_in(timeline: Timeline, frames: FrameRange) -> Timeline:
    """Return the timeline with only those captions that are seen in a range."""
    seen = tuple(caption for caption in timeline.captions if caption.frames.intersection(frames))
    return replace(timeline, captions=seen)


def _missing_letters(captions: Sequence[CaptionArt]) -> list[str]:
    """Return a warning for each caption with characters that no font has."""
    return [
        f"scene {art.scene_id!r}: no font here has {' '.join(art.missing[:12])}"
        f"{' …' if len(art.missing) > 12 else ''}; name a font file in `font`"
        for art in captions
        if art.missing
    ]
