"""The chart shows the numbers of the results."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.plot import LABEL_PX, NUMBER_PX, VMAF_PX, WIDTH_PX, draw

SVG = "{http://www.w3.org/2000/svg}"


def contender(walls: list[float], *, encodes: bool = True) -> dict[str, Any]:
    return {"frames": 300, "wall_s": walls, "encodes": encodes}


def results(**more: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "t",
        "date": "2026-11-22",
        "settings": "x264 veryfast, crf 21",
        "machine": {"cpu": "A <fast> & quiet one", "cores": 2},
        "workload": {"size_px": [1080, 1920], "frames": 300},
        "speed": {
            "video-pipeline": contender([5.0, 6.0, 50.0]),
            "plain ffmpeg command": contender([20.0]),
            "encode only": contender([7.5]),
            "segments encoded only": contender([4.0]),
            "zoompan graph, no encoding": contender([1.0], encodes=False),
            **more,
        },
    }


def drawn(found: dict[str, Any]) -> tuple[dict[str, tuple[float, float]], ElementTree.Element]:
    """Return each bar's width and printed number by name, and the whole."""
    root = ElementTree.fromstring(draw(found))
    bars = {}
    for group in root.iter(f"{SVG}g"):
        name, number = (text.text or "" for text in group.iter(f"{SVG}text"))
        bar = next(group.iter(f"{SVG}rect"))
        bars[name] = (float(bar.get("width", "nan")), float(number))
    return bars, root


def test_the_length_of_a_bar_is_the_speed_of_its_render() -> None:
    bars, _ = drawn(results())
    assert list(bars) == ["video-pipeline", "plain ffmpeg command"]  # the fastest first
    assert [number for _, number in bars.values()] == [50.0, 15.0]  # medians
    longest = WIDTH_PX - LABEL_PX - NUMBER_PX
    assert bars["video-pipeline"][0] == longest
    assert bars["plain ffmpeg command"][0] == pytest.approx(longest * 15 / 50, abs=0.1)


def test_the_encoder_alone_is_a_line() -> None:
    bars, root = drawn(results())
    line = next(root.iter(f"{SVG}line"))
    longest = bars["video-pipeline"][0]
    assert float(line.get("x1", "nan")) == pytest.approx(LABEL_PX + longest * 40 / 50, abs=0.1)
    assert any("one stream: 40.0" in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_a_line_beyond_every_bar_stays_inside() -> None:
    found = results(**{"encode only": contender([1.0])})
    bars, root = drawn(found)
    assert float(next(root.iter(f"{SVG}line")).get("x1", "nan")) == WIDTH_PX - NUMBER_PX
    assert bars["video-pipeline"][0] == pytest.approx((WIDTH_PX - LABEL_PX - NUMBER_PX) / 6, abs=0.1)


def test_names_are_escaped_and_shown_in_the_title() -> None:
    _, root = drawn(results(**{"<b> & co": contender([3.0])}))
    title = next(root.iter(f"{SVG}title")).text or ""
    assert "<b> & co 100.0, video-pipeline 50.0" in title
    assert any("A <fast> & quiet one" in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_bars_of_results_with_a_quality_have_it_beside_them() -> None:
    found = results()
    found["speed"]["plain ffmpeg command"]["vmaf"] = 97.123
    bars, root = drawn(found)
    assert bars["video-pipeline"][0] == WIDTH_PX - LABEL_PX - NUMBER_PX - VMAF_PX
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert [each for each in texts if each.startswith("VMAF")] == ["VMAF 97.12"]


def test_results_without_speeds_are_an_error() -> None:
    with pytest.raises(ValueError, match="'memory' has no section 'speed'"):
        draw({"name": "memory"})
