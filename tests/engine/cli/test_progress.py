"""The speed that a render reports: of drawn frames only."""

from __future__ import annotations

import io
import json
import logging

import pytest

from video_pipeline.engine.cli.progress import JsonLines, LogLines, Pace
from video_pipeline.engine.events import Event

ALL_CACHED = Event("render", 96, 96, cached=96)


def test_frames_from_the_cache_have_no_speed(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    for reporter in (JsonLines(stream), LogLines()):
        with caplog.at_level(logging.INFO, logger="video_pipeline"):
            reporter(Event("render", 48, 96, cached=48))
            reporter(ALL_CACHED)
    assert [json.loads(line)["fps"] for line in stream.getvalue().splitlines()] == [None, None]
    assert caplog.messages == ["rendering: frame 48 of 96", "rendering: frame 96 of 96"]


def test_only_drawn_frames_count_for_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((0.0, 2.0))
    monkeypatch.setattr("video_pipeline.engine.cli.progress.time.monotonic", lambda: next(now))
    pace = Pace()
    assert pace.measure(Event("render", 0, 100)) == (None, None)
    assert pace.measure(Event("render", 60, 100, cached=40)) == (10, 4)
