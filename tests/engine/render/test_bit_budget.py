"""An average bit rate is that of the whole video, whatever its segments cost."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import CancelledError
from video_pipeline.engine.pipeline import render_story
from video_pipeline.engine.render.bit_budget import BitBudget, media_bytes
from video_pipeline.engine.render.encoders.base import EncoderSettings, encoder_settings, load_encoder
from video_pipeline.engine.render.encoders.encode import h264_level
from video_pipeline.engine.timing import FrameRange

RATE = 220_000
TRANSITIONS = ("fade", "wipeleft", "slideup", "dissolve", "circleopen", "radial", "fadeblack")


def story(count: int = 12, *, text: str = "words") -> dict[str, Any]:
    """Return a story of scenes that differ in length and in what their transitions cost."""
    return {
        "id": "budget",
        "title": "Budget",
        "scenes": [
            {
                "scene_id": f"s{number}",
                "text": f"{text if number == 3 else 'words'} {number}",
                "narration": "",
                "duration": 2 + number % 3,
                "transition": {"name": TRANSITIONS[number % len(TRANSITIONS)], "duration": 0.5},
            }
            for number in range(count)
        ],
    }


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cached segments."""
    monkeypatch.setenv("CACHE_PATH", str(tmp_path / "cache"))
    return tmp_path / "cache" / "segments"


def render(output: Path, told: dict[str, Any], **options: Any) -> bytes:
    config = {
        "video": {"size": [160, 284], "fps": 24, "bitrate": RATE, "codec": "libx264", "preset": "superfast"},
        "tts": {"service": "none"},
    }
    output.parent.mkdir(exist_ok=True)
    render_story(told, output, config=config, **options)
    return output.read_bytes()


def average(video: Path) -> float:
    """Return the bits per second of a video's packets."""
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        sizes = [packet.size for packet in container.demux(stream)]
        assert stream.average_rate
        return float(8 * sum(sizes) * stream.average_rate / stream.frames)


def test_the_average_of_twelve_scenes_is_the_one_asked_for_whatever_is_cached_and_however_many_workers(
    tmp_path: Path, cache: Path
) -> None:
    cold = render(tmp_path / "a" / "v.mp4", story(), workers=1)
    assert average(tmp_path / "a" / "v.mp4") == pytest.approx(RATE, rel=0.03)
    segments = sorted(cache.rglob("*.segment"))
    assert len(segments) >= 12
    for segment in segments[::3]:
        segment.unlink()
    assert render(tmp_path / "b" / "v.mp4", story(), workers=5) == cold
    assert render(tmp_path / "c" / "v.mp4", story()) == cold
    assert render(tmp_path / "d" / "v.mp4", story(), use_cache=False, workers=3) == cold
    shutil.rmtree(cache)
    assert render(tmp_path / "e" / "v.mp4", story(), workers=2) == cold


def test_a_small_change_leaves_most_other_segments_in_the_cache(tmp_path: Path, cache: Path) -> None:
    render(tmp_path / "v.mp4", story())
    before = {path.name for path in cache.rglob("*.segment")}
    render(tmp_path / "v.mp4", story(text="wards"))
    after = {path.name for path in cache.rglob("*.segment")}
    assert 1 <= len(after - before) <= len(before) // 2


def settings(encoder: str = "libx264", **video: Any) -> EncoderSettings:
    config = load_config({"video": {"size": [160, 284], "bitrate": "1000k", **video}}, environ=False)
    return encoder_settings(load_encoder(encoder), config.video)


def mp4(size: int) -> bytes:
    """Return an MP4 whose packets have a size."""
    return b"\x00\x00\x00\x10ftypisom\x00\x00\x02\x00" + (size + 8).to_bytes(4, "big") + b"mdat" + bytes(size)


SEGMENTS = tuple(FrameRange(30 * number, 30 * number + 30) for number in range(12))
"""Segments of a second."""


def asked(spends: float, *, unlike: dict[int, float] | None = None, **video: Any) -> list[int]:
    """Return the rates that are asked for if an encoder spends a share of what it is asked for."""
    budget = BitBudget(SEGMENTS, settings(**video))
    rates = []
    for number, frames in enumerate(SEGMENTS):
        rates.append(int(budget.settings(frames).options["b"]))
        budget.spend(frames, mp4(round(rates[-1] / 8 * (unlike or {}).get(number, spends))))
    return rates


def test_what_was_spent_too_much_is_saved_later() -> None:
    assert asked(1.0) == [1_000_000] * 12
    after_one = asked(1.0, unlike={0: 3.0})
    assert after_one[:4] == [1_000_000] * 4
    assert after_one[4] < 750_000
    assert sum(after_one) + 2_000_000 == pytest.approx(12_000_000, rel=0.04)
    lavish = asked(1.1)
    assert 1.1 * sum(lavish) == pytest.approx(12_000_000, rel=0.02)
    thrifty = asked(0.9)
    assert 0.9 * sum(thrifty) == pytest.approx(12_000_000, rel=0.02)


def test_a_rate_is_at_least_a_third_of_the_average_at_most_twice_and_below_the_cap() -> None:
    assert min(asked(1.0, unlike={0: 9.0})) == 353_553
    assert max(asked(1.0, unlike=dict.fromkeys(range(6), 0.01))) == 2_000_000
    poor = dict.fromkeys(range(6), 0.5)
    assert max(asked(1.0, unlike=poor)) > 1_300_000
    assert 1_100_000 < max(asked(1.0, unlike=poor, max_bitrate="1200k")) <= 1_200_000


def test_a_segment_waits_for_those_before_it_but_the_last_few() -> None:
    budget = BitBudget(SEGMENTS, settings())
    for frames in SEGMENTS[:4]:
        assert budget.known(frames)
    assert not budget.known(SEGMENTS[4])
    found: list[EncoderSettings] = []
    waiting = threading.Thread(target=lambda: found.append(budget.settings(SEGMENTS[4])))
    waiting.start()
    budget.spend(SEGMENTS[1], mp4(125_000))
    waiting.join(0.3)
    assert waiting.is_alive()
    budget.spend(SEGMENTS[0], mp4(125_000))
    waiting.join(FAST_SECONDS)
    assert [each.options["b"] for each in found] == ["1000000"]
    assert not budget.known(SEGMENTS[-1])
    for frames in SEGMENTS[:-2]:
        budget.spend(frames, mp4(125_000))
    assert budget.known(SEGMENTS[-1])


def test_all_segments_have_the_level_of_the_highest_rate() -> None:
    given = settings(size=[1080, 1920], bitrate="8000k")
    assert h264_level(given) == 40
    assert h264_level(replace(given, options={**given.options, "b": "16000k"})) == 41
    budget = BitBudget(SEGMENTS, given)
    levels = set()
    for frames, size in zip(SEGMENTS, (200_000, *[1_000_000] * 6, *[5_000_000] * 5), strict=True):
        levels.add(
            (int(budget.settings(frames).options["b"]) > 8_000_000, h264_level(budget.settings(frames)))
        )
        budget.spend(frames, mp4(size))
    assert levels == {(False, 41), (True, 41)}


def test_waiting_ends_when_the_render_does() -> None:
    budget = BitBudget(SEGMENTS, settings())

    def check() -> None:
        raise CancelledError("the render was stopped")

    with pytest.raises(CancelledError):
        budget.settings(SEGMENTS[-1], check)


def test_without_an_average_bit_rate_there_is_no_budget() -> None:
    assert BitBudget.of(SEGMENTS, settings(bitrate=None, crf=20)) is None
    assert BitBudget.of(SEGMENTS, settings()) is not None
    assert BitBudget.of(SEGMENTS, settings("h264_nvenc")) is None


def test_the_size_of_a_segment_is_that_of_its_packets() -> None:
    assert media_bytes(mp4(1000)) == 1000
    large = b"\x00\x00\x00\x01mdat" + (16 + 5).to_bytes(8, "big") + b"12345"
    assert media_bytes(large + mp4(7)) == 12
    assert media_bytes(b"") == media_bytes(b"\x00\x00\x00\x00free") == 0
