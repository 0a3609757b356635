"""Platforms' tables, held against values and files on both sides of every limit."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from video_pipeline.engine.errors import InputError
from video_pipeline.engine.publish.fit import fit_video
from video_pipeline.engine.publish.rules import PLATFORM_RULES, PlatformRule, check_facts, platform_table
from video_pipeline.engine.publish.validate import check_video, verdict

FAST_START = {"movflags": "+faststart+negative_cts_offsets", "use_editlist": "0"}


def a_video(
    path: Path,
    *,
    size: tuple[int, int] = (360, 640),
    fps: int = 30,
    seconds: float = 3.0,
    pixels: str = "yuv420p",
    codec: str = "libx264",
    sound: dict[str, Any] | None = None,
    options: dict[str, str] | None = None,
    coder: dict[str, str] | None = None,
) -> Path:
    """Write a small video, with FFmpeg's writer and encoder options."""
    with av.open(str(path), "w", options=FAST_START if options is None else options) as container:
        video = container.add_stream(codec, rate=fps, options={"preset": "ultrafast", **(coder or {})})
        video.width, video.height = size
        video.pix_fmt = pixels
        heard = None
        if sound is not None:
            heard = container.add_stream(sound.get("codec", "aac"), rate=sound.get("rate", 48000))
            heard.layout = sound.get("layout", "stereo")
        flat = np.full((size[1], size[0], 3), 90, np.uint8)
        for number in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(flat, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if heard is not None:
            rate = sound.get("rate", 48000) if sound else 48000
            channels = len(heard.layout.channels)
            for block in range(int(seconds * rate) // 1024):
                samples = np.zeros((channels, 1024), np.float32)
                part = av.AudioFrame.from_ndarray(samples, format="fltp", layout=heard.layout.name)
                part.sample_rate, part.pts, part.time_base = rate, block * 1024, Fraction(1, rate)
                container.mux(heard.encode(part))
            container.mux(heard.encode())
    return path


def broken(path: Path, platform: str, *, severity: str = "error") -> set[str]:
    return {reason.rule for reason in check_video(path, platform=platform) if reason.severity == severity}


def beyond(rule: PlatformRule) -> list[Any]:
    """Return values just beyond each bound of a rule."""
    if rule.one_of is not None:
        return [not rule.one_of[0]] if isinstance(rule.one_of[0], bool) else ["another"]
    found = []
    if rule.at_most is not None:
        found.append(rule.at_most * 1.0001 + (1 if rule.at_most >= 100 else 0.0001))
    if rule.at_least is not None:
        found.append(rule.at_least * 0.9999 - (1e-6 if rule.at_least < 100 else 1))
    return found


def within(rule: PlatformRule) -> list[Any]:
    """Return the values at the bounds of a rule, or all that it names."""
    if rule.one_of is not None:
        return list(rule.one_of)
    return [bound for bound in (rule.at_least, rule.at_most) if bound is not None]


@pytest.mark.parametrize("platform", PLATFORM_RULES)
def test_every_rule_allows_its_bounds_and_refuses_what_is_just_beyond(platform: str) -> None:
    table = platform_table(platform)
    for rule in table.rules:
        for value in within(rule):
            assert rule.allows(value), f"{platform}: {rule.fact} {value}"
        for value in beyond(rule):
            found = [
                reason
                for reason in check_facts(platform, {rule.fact: value})
                if (reason.limit, reason.severity) == (rule.limit, rule.severity)
            ]
            assert [reason.rule for reason in found] == [rule.fact], f"{platform}: {rule.fact} {value}"
            assert found[0].source.startswith("https://")
            assert found[0].remedy in str(found[0])


@pytest.mark.parametrize("platform", PLATFORM_RULES)
def test_every_rule_has_a_source_of_the_platform_itself(platform: str) -> None:
    for source in platform_table(platform).sources.values():
        assert source.date is None or source.date.year >= 2026
        assert re.fullmatch(r"https://[a-z.]+(instagram|facebook|google|youtube|tiktok)\.com/\S+", source.url)


def test_a_reel_as_it_is_advised_breaks_no_rule(tmp_path: Path) -> None:
    path = a_video(tmp_path / "reel.mp4", sound={})
    for platform in PLATFORM_RULES:
        assert check_video(path, platform=platform) == []


@pytest.mark.parametrize(
    ("rule", "platform", "video"),
    [
        ("edit_list", "reels", {"sound": {}, "options": {"movflags": "+faststart"}}),
        ("faststart", "reels", {"options": {"use_editlist": "0", "movflags": "+negative_cts_offsets"}}),
        ("duration", "reels", {"seconds": 2.9}),
        ("duration", "stories", {"seconds": 60.2, "fps": 24, "size": (36, 64)}),
        ("fps", "reels", {"fps": 20}),
        ("fps", "tiktok", {"fps": 61}),
        ("width", "reels", {"size": (1922, 1080)}),
        ("width", "tiktok", {"size": (358, 640)}),
        ("height", "tiktok", {"size": (640, 358)}),
        ("ratio", "shorts", {"size": (644, 640)}),
        ("video_codec", "reels", {"codec": "mpeg4"}),
        ("pixel_format", "reels", {"pixels": "yuv444p"}),
        ("interlaced", "reels", {"coder": {"flags": "+ildct", "x264-params": "tff=1"}}),
        ("audio_rate", "reels", {"sound": {"rate": 96000}}),
        ("audio_channels", "reels", {"sound": {"layout": "5.1"}}),
        ("audio_codec", "reels", {"sound": {"codec": "libopus"}}),
    ],
)
def test_a_file_beyond_a_limit_is_refused_for_that_rule_alone(
    tmp_path: Path, rule: str, platform: str, video: dict[str, Any]
) -> None:
    assert broken(a_video(tmp_path / "clip.mp4", **video), platform) == {rule}


@pytest.mark.parametrize(
    ("platform", "video"),
    [
        ("reels", {"seconds": 3.0, "fps": 24}),
        ("stories", {"seconds": 60.0, "fps": 24, "size": (36, 64)}),
        ("reels", {"fps": 60}),
        ("reels", {"size": (1920, 1080)}),
        ("tiktok", {"size": (360, 640)}),
        ("shorts", {"size": (640, 640)}),
        ("reels", {"sound": {"rate": 48000}}),
    ],
)
def test_a_file_at_a_limit_is_allowed(tmp_path: Path, platform: str, video: dict[str, Any]) -> None:
    assert broken(a_video(tmp_path / "clip.mp4", **video), platform) == set()


@pytest.mark.parametrize(
    ("platform", "limit"), [("reels", 300_000_000), ("stories", 100_000_000), ("tiktok", 2**32)]
)
def test_a_file_of_one_byte_more_than_a_platform_takes_is_refused(
    tmp_path: Path, platform: str, limit: int
) -> None:
    path = a_video(tmp_path / "clip.mp4")

    def grow(size: int) -> None:
        with path.open("rb+") as file:
            file.seek(0, 2)
            free = size - file.tell()
            file.write(struct.pack(">I4sQ", 1, b"free", free))
            file.truncate(size)

    plain = path.read_bytes()
    grow(limit)
    assert "file_size" not in broken(path, platform)
    path.write_bytes(plain)
    grow(limit + 1)
    assert "file_size" in broken(path, platform)


def test_a_new_container_makes_a_file_fit_and_keeps_every_packet(tmp_path: Path) -> None:
    path = a_video(tmp_path / "clip.mp4", sound={}, options={})
    assert broken(path, "reels") == {"edit_list", "faststart"}
    fitted = tmp_path / "fitted.mp4"
    assert fit_video(path, fitted, platform="reels") == []
    assert broken(fitted, "reels") == set()

    def packets(file: Path, kind: str) -> list[bytes]:
        with av.open(str(file)) as container:
            return [bytes(packet) for packet in container.demux(**{kind: 0}) if packet.size]

    assert packets(fitted, "video") == packets(path, "video")
    assert packets(fitted, "audio") == packets(path, "audio")[1:], (
        "the packet that primes the decoder is left out"
    )


def test_a_video_that_must_be_encoded_anew_is_not_copied(tmp_path: Path) -> None:
    path = a_video(tmp_path / "clip.mp4", fps=20, options={})
    with pytest.raises(
        InputError, match=r"does not make it fit reels:\n  error: fps: got 20; allowed: 23 to 60"
    ):
        fit_video(path, tmp_path / "fitted.mp4", platform="reels")
    assert not (tmp_path / "fitted.mp4").exists()
    with pytest.raises(InputError, match="is the video itself"):
        fit_video(path, path, platform="reels")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "there is no such file"), (b"no video at all", "cannot be read as a video")]
)
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        check_video(path, platform="reels")


def test_an_unknown_platform_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got 'reel' \(did you mean 'reels'\?\); allowed: instagram, reels"):
        platform_table("reel")


def test_a_publisher_with_rules_of_another_name_has_these_rules(tmp_path: Path) -> None:
    assert platform_table("instagram") == platform_table("reels")
    path = a_video(tmp_path / "clip.mp4", fps=20, size=(640, 640))
    found = {name: check_video(path, platform=name) for name in ("instagram", "reels")}
    rules = [each.rule for each in found["reels"]]
    assert rules
    assert [each.rule for each in found["instagram"]] == rules


def test_the_verdict_counts_errors_and_warnings(tmp_path: Path) -> None:
    path = a_video(tmp_path / "clip.mp4", fps=20, size=(640, 640))
    assert verdict("reels", check_video(path, platform="reels")) == (
        "Instagram Reels: does not fit (1 error, 1 warning)"
    )
    assert verdict("tiktok", []) == "TikTok: fits"
