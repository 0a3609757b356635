"""The crf of each segment: the same from any number of workers, cached, and with it the quality that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.engine.render.test_renderer import FPS, settings_of, timeline, writer_for
from tests.support.quality import QUALITY_TOLERANCE_VMAF, libvmaf_program, mean_vmaf
from tests.support.video import compositor_of, timeline_of
from video_pipeline.engine.assets.backgrounds import draw_background
from video_pipeline.engine.common.cache import ContentCache, file_sha256
from video_pipeline.engine.config import load_config
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.compositors.base import Compositor
from video_pipeline.engine.render.compositors.choice import load_compositor
from video_pipeline.engine.render.compositors.ffmpeg import FfmpegCompositor
from video_pipeline.engine.render.compositors.raw_frames import Children
from video_pipeline.engine.render.encoders.base import EncoderSettings
from video_pipeline.engine.render.encoders.encode import encode_segment
from video_pipeline.engine.render.quality.rates import (
    PROBE_IDENTITY,
    PROBES,
    SegmentRates,
    is_capped,
    zones_of,
)
from video_pipeline.engine.render.renderer import RenderReport, render_segments
from video_pipeline.engine.render.segment_cache import SegmentCache
from video_pipeline.engine.timeline import Clip, Still, Timeline
from video_pipeline.engine.timing import FrameRange
from video_pipeline.filters.geometry import Camera, largest_rect, zoom_about

SETTINGS = settings_of(quality=92)


@dataclass
class Counting:
    """A compositor that counts the ranges that were drawn."""

    inner: FfmpegCompositor
    drawn: list[FrameRange] = field(default_factory=list)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)

    def frames(self, wanted: FrameRange, *, threads: int, children: Children) -> object:
        self.drawn.append(wanted)
        return self.inner.frames(wanted, threads=threads, children=children)


def caches(
    folder: Path, compositor: FfmpegCompositor, settings: EncoderSettings
) -> tuple[SegmentCache, SegmentRates]:
    """Return the cache of segments and the rates, as a render opens them."""
    common = {"timeline": compositor.timeline, "captions": compositor.captions}
    store = ContentCache(folder)
    probes = SegmentCache(
        store,
        **common,
        settings=settings,
        compositor={**compositor.identity(), **PROBE_IDENTITY},
        kind=PROBES,
    )
    rates = SegmentRates(compositor, settings, cache=probes)
    segments = SegmentCache(store, **common, settings=rates.settings, compositor=compositor.identity())
    return segments, rates


def render(
    target: Path, compositor: FfmpegCompositor, folder: Path | None = None, *, workers: int = 2
) -> RenderReport:
    cache, rates = caches(folder, compositor, SETTINGS) if folder else (None, None)
    with writer_for(target) as writer:
        return render_segments(compositor, SETTINGS, writer, workers=workers, cache=cache, rates=rates)


def test_each_segment_has_its_crf_and_the_bytes_do_not_depend_on_the_workers(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=3, length=30))
    reports = [render(tmp_path / f"{workers}.mp4", compositor, workers=workers) for workers in (1, 3)]
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "3.mp4").read_bytes()
    assert reports[0].rates == reports[1].rates
    assert len(reports[0].rates) == len(reports[0].segments) == 3
    assert reports[0].probe_seconds > 0


def test_a_second_render_draws_and_probes_nothing(tmp_path: Path) -> None:
    counting = Counting(compositor_of(timeline(tmp_path, scenes=3, length=30)))
    first = render(tmp_path / "first.mp4", counting, tmp_path / "cache")  # type: ignore[arg-type]
    assert len(counting.drawn) == 3  # the frames of the probes are those of the segments
    counting.drawn.clear()
    second = render(tmp_path / "second.mp4", counting, tmp_path / "cache")  # type: ignore[arg-type]
    assert counting.drawn == []
    assert second.segments_from_cache == 3
    assert first.rates == second.rates
    assert (tmp_path / "first.mp4").read_bytes() == (tmp_path / "second.mp4").read_bytes()


def test_a_segment_of_a_quality_is_the_one_of_its_crf(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=1, length=30))
    (rate,) = render(tmp_path / "quality.mp4", compositor).rates
    same = settings_of(crf=rate.crf, max_bitrate="400k")  # the cap by size
    with writer_for(tmp_path / "crf.mp4") as writer:
        render_segments(compositor, same, writer)
    assert (tmp_path / "quality.mp4").read_bytes() == (tmp_path / "crf.mp4").read_bytes()


def test_another_target_is_another_probe_result(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=1, length=30))
    crfs = []
    for quality in (85, 95):
        _, rates = caches(tmp_path / "cache", compositor, settings_of(quality=quality))
        rate = rates.rate(FrameRange(0, 30))
        assert rate is not None
        crfs.append(rate.crf)
    assert crfs[0] > crfs[1]


def test_settings_without_a_quality_are_left_alone(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=1, length=30))
    settings = settings_of(crf=22)
    rates = SegmentRates(compositor, settings)
    assert rates.rate(FrameRange(0, 30)) is None
    assert rates.settings(FrameRange(0, 30)) is settings
    assert rates.known(FrameRange(0, 30))


def test_zones_name_each_segment_with_its_crf(tmp_path: Path) -> None:
    compositor = compositor_of(timeline(tmp_path, scenes=2, length=30))
    rates = SegmentRates(compositor, SETTINGS)
    first, second = (rates.rate(frames) for frames in (FrameRange(0, 30), FrameRange(30, 55)))
    assert first is not None
    assert second is not None
    assert (
        zones_of(rates, (FrameRange(0, 30), FrameRange(30, 55)))
        == f"0,29,crf={first.crf:g}/30,54,crf={second.crf:g}"
    )


def scenes(folder: Path, size_px: tuple[int, int]) -> Timeline:
    """Return two scenes of drawn backgrounds, one of which moves."""
    width, height = size_px
    clips = []
    for number, style in enumerate(("misty_ridges", "city_dusk")):
        path = folder / f"{style}.png"
        draw_background(
            genre="nature", style=style, seed=number, size_px=(width * 3 // 2, height * 3 // 2)
        ).save(path)
        whole = largest_rect(width / height, width / height)
        camera = Camera(whole, zoom_about(whole, zoom=1.15, focus=(0.5, 0.5)) if number else whole)
        source = Still(path, width * 3 // 2, height * 3 // 2, file_sha256(path))
        clips.append(Clip(style, FrameRange(number * 45, number * 45 + 45), source, camera=camera))
    return timeline_of(clips, size_px=size_px)


@pytest.mark.parametrize("name", ["native", "ffmpeg"])
def test_the_quality_that_was_asked_for_is_reached(name: str, tmp_path: Path) -> None:
    libvmaf_program()
    size_px = (360, 640)
    if name == "native":
        pytest.importorskip("video_pipeline.native._core")
    config = load_config({"video": {"size": list(size_px), "quality": 94, "fps": 30}}, environ=False)
    compositor: Compositor = load_compositor(name).open(
        scenes(tmp_path, size_px), ffmpeg=find_ffmpeg(), config=config
    )
    settings = settings_of(size=list(size_px), quality=94, max_bitrate="20M")
    with writer_for(tmp_path / "out.mp4") as writer:
        render_segments(compositor, settings, writer)
    drawn = compositor.frames(FrameRange(0, 90), threads=1, children=Children())
    frames = [np.array(frame) for frame in drawn]
    measured = mean_vmaf(tmp_path / "out.mp4", frames, fps=Fraction(FPS), folder=tmp_path)
    assert measured == pytest.approx(94, abs=QUALITY_TOLERANCE_VMAF)


NOISE_SEED = 7
CAP_BITS, CRF = 500_000, 20.0


def noise_bytes(path: Path, *, noisy: int, grey: int, **video: object) -> tuple[int, ...]:
    """Return what x264 makes of frames of noise and flat ones after them, the bytes of each frame."""
    rng = np.random.default_rng(NOISE_SEED)
    settings = settings_of(crf=CRF, **video)
    size = settings.height_px * 3 // 2, settings.width_px
    drawn = [rng.integers(16, 236, size, np.uint8) for _ in range(noisy)] + [
        np.full(size, 128, np.uint8)
    ] * grey
    with writer_for(path) as writer:
        return writer.add_segment(encode_segment(iter(drawn), settings), FrameRange(0, len(drawn)))


@pytest.mark.parametrize(
    ("noisy", "grey", "buffer_bits", "capped"),
    [
        (1, 0, None, False),
        (1, 0, 60_000, True),
        (2, 0, None, False),
        (4, 0, 8_000_000, False),
        (12, 0, None, True),
        (24, 0, None, True),
        (24, 72, None, True),
        (1, 95, None, False),
        (0, 96, None, False),
    ],
)
def test_a_segment_is_capped_if_its_encoder_has_spent_fewer_bits_than_without_a_cap(
    tmp_path: Path, noisy: int, grey: int, buffer_bits: int | None, capped: bool
) -> None:
    bufsize = {} if buffer_bits is None else {"bufsize": buffer_bits}
    with_cap = noise_bytes(tmp_path / "a.mp4", noisy=noisy, grey=grey, max_bitrate=CAP_BITS, **bufsize)
    without = noise_bytes(tmp_path / "b.mp4", noisy=noisy, grey=grey, max_bitrate="900M")
    assert (sum(with_cap) < 0.95 * sum(without)) == capped, f"seed {NOISE_SEED}"
    assert is_capped(with_cap, fps=FPS, cap_bits=CAP_BITS, buffer_bits=buffer_bits or 2 * CAP_BITS) == capped
