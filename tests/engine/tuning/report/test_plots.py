"""Plots are well-formed SVG: every mark inside the frame, round numbers on the axes, text escaped."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from video_pipeline.engine.tuning.report.plots import (
    BOTTOM_PX,
    HEIGHT_PX,
    LEFT_PX,
    RIGHT_PX,
    TOP_PX,
    WIDTH_PX,
    Axis,
    Line,
    Mark,
    draw_plot,
    linear_ticks,
    log_ticks,
)

LOG, LINEAR = Axis("Mbit/s", log=True), Axis("VMAF")


def circles(svg: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(svg).iter("circle"))


def test_every_mark_is_inside_the_frame_and_larger_is_further_right_and_up() -> None:
    marks = [Mark(0.5, 90.0, "a"), Mark(5.0, 95.0, "b"), Mark(50.0, 99.0, "c")]
    found = circles(draw_plot(LOG, LINEAR, marks, title="t"))
    xs, ys = ([float(each.attrib[key]) for each in found] for key in ("cx", "cy"))
    assert all(LEFT_PX <= x <= WIDTH_PX - RIGHT_PX for x in xs)
    assert all(TOP_PX <= y <= HEIGHT_PX - BOTTOM_PX for y in ys)
    assert xs == sorted(xs)
    assert ys == sorted(ys, reverse=True)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1], abs=0.2)  # equal ratios


@pytest.mark.parametrize(
    "marks", [[Mark(5.0, 95.0, "one")], [Mark(5.0, 95.0, "one"), Mark(5.0, 95.0, "same")]]
)
def test_marks_at_one_place_have_a_plot_too(marks: list[Mark]) -> None:
    assert len(circles(draw_plot(LOG, LINEAR, marks, title="t"))) == len(marks)


def test_texts_are_escaped() -> None:
    marks = [Mark(1.0, 1.0, '</title><script>alert("1")</script>', label="<b>", kind='x" onload="y')]
    svg = draw_plot(Axis("<i>"), Axis("&"), marks, [Line(((1.0, 1.0), (2.0, 2.0)), 'k"')], title='"<t>')
    root = ElementTree.fromstring(svg)
    assert root.find(".//script") is None
    assert [each.text for each in root.iter("title")] == ['</title><script>alert("1")</script>']
    assert not any("onload" in each.attrib for each in root.iter())


def test_stairs_go_right_before_they_go_down() -> None:
    svg = draw_plot(
        LOG,
        LOG,
        [Mark(1.0, 8.0, "a"), Mark(2.0, 4.0, "b")],
        [Line(((1.0, 8.0), (2.0, 4.0)), "front", stairs=True)],
        title="t",
    )
    (path,) = (
        each for each in ElementTree.fromstring(svg).iter("path") if each.attrib["class"] == "line front"
    )
    assert "H" in path.attrib["d"]
    assert "V" in path.attrib["d"]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.9, 110.0, (1.0, 3.0, 10.0, 30.0, 100.0)),
        (3.0, 11.0, (3.0, 4.0, 5.0, 6.0, 8.0, 10.0)),
        (4.9, 6.6, (5.0, 5.5, 6.0, 6.5)),
    ],
)
def test_a_logarithmic_axis_has_round_numbers(low: float, high: float, ticks: tuple[float, ...]) -> None:
    found = log_ticks(low, high)
    assert all(low <= tick <= high for tick in found)
    assert set(ticks) <= {round(tick, 6) for tick in found}


def test_a_linear_axis_has_round_numbers_at_equal_distances() -> None:
    assert linear_ticks(95.8, 98.2) == pytest.approx((96.0, 96.5, 97.0, 97.5, 98.0))
    assert linear_ticks(0.0, 1.0) == pytest.approx((0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
