"""FFmpeg's log, listened to in several threads."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import av
import pytest

from video_pipeline.engine.render.encoders.log import ffmpeg_log


def wrong_option(name: str) -> list[str]:
    """Return what FFmpeg says of an encoder opened with a wrong option."""
    with ffmpeg_log() as log:
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt, context.framerate = 64, 64, "yuv420p", Fraction(30)
        context.options = {"aq-mode": name}
        with pytest.raises(av.FFmpegError):
            context.open()
    return log.lines()


def test_each_thread_hears_its_own_lines_only() -> None:
    names = [f"wrong{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        for name, lines in zip(names, threads.map(wrong_option, names), strict=True):
            assert any(name in line for line in lines)
            assert not any("wrong" in line and name not in line for line in lines), (name, lines)


def test_the_log_is_as_before_when_nobody_listens() -> None:
    before = av.logging.get_level(), av.logging.get_skip_repeated(), logging.getLogger("libav").propagate
    with ffmpeg_log(), ffmpeg_log(av.logging.WARNING):
        assert av.logging.get_level() == av.logging.WARNING
    assert (
        av.logging.get_level(),
        av.logging.get_skip_repeated(),
        logging.getLogger("libav").propagate,
    ) == before


def test_a_line_in_several_messages_is_one() -> None:
    with ffmpeg_log() as log:
        for message in ("cuInit(0) failed", " -> CUDA_ERROR_UNKNOWN: unknown", "\n", "second\n", "\n"):
            av.logging.log(av.logging.ERROR, "test", message)
    assert log.lines() == ["cuInit(0) failed -> CUDA_ERROR_UNKNOWN: unknown", "second"]
