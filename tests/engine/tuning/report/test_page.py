"""The page needs nothing but itself, escapes all that it is given, and has every trial and plot."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.support.tuning_runs import GUIDE, grid, make_run
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.tuning.queries import Query
from video_pipeline.engine.tuning.records import RunData, Trial
from video_pipeline.engine.tuning.report.content import Report, make_report, report_data
from video_pipeline.engine.tuning.report.crops import Crop, Place
from video_pipeline.engine.tuning.report.page import page_html
from video_pipeline.engine.tuning.samples import METRICS

VOID = frozenset(["meta", "input", "img", "br", "link"])
EVIL = "\"><script>alert(1)</script><img src=http://evil.example/x onerror=alert(2)>'&"


class Page(HTMLParser):
    """Reads a page; raises ValueError if elements are not closed in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)
        if self.open:
            raise ValueError(f"not closed: {self.open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"</{tag}> closes nothing")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report_of(data: RunData, **limits: float) -> Report:
    return make_report(data, query=Query(limits=limits) if limits else None)


def test_the_page_is_well_formed_and_asks_nobody_for_anything() -> None:
    html = page_html(report_of(make_run()))
    page = Page(html)
    assert "default-src 'none'" in html
    for _, attributes in page.elements:
        for name in ("src", "href", "data", "action", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert "@import" not in html
    assert "url(" not in html
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", html)


def test_every_trial_is_a_row_with_its_values_and_the_chosen_one_is_marked() -> None:
    report = report_of(make_run(), min_vmaf=97)
    page = Page(page_html(report))
    rows = [row for row in page.all("tr") if "data-trial" in row]
    assert [int(row["data-trial"]) for row in rows] == [each.trial.number for each in report.summaries]
    assert report.answer is not None
    assert [row["data-trial"] for row in rows if "chosen" in row["class"]] == [
        str(report.answer.chosen.trial.number)
    ]
    assert [row["data-trial"] for row in rows if "reference" in row["class"]] == ["0"]
    assert {int(row["data-trial"]) for row in rows if "data-front" in row} == report.front
    assert json.loads(rows[1]["data-settings"]) == {"encoder": "libx264", "preset": "superfast", "crf": 18}


def test_every_mark_belongs_to_a_row() -> None:
    page = Page(page_html(report_of(make_run())))
    rows = {row["data-trial"] for row in page.all("tr") if "data-trial" in row}
    marks = [mark for mark in page.all("circle") if "data-trial" in mark]
    assert len(marks) > 60
    assert {mark["data-trial"] for mark in marks} <= rows


def test_all_that_a_run_says_is_escaped() -> None:
    data = make_run(
        [GUIDE, {"preset": "superfast", "crf": 20, "tune": EVIL}, {"preset": "faster", "crf": 20}]
    )
    renamed = {"grain": f"grain{EVIL}"}
    trials: tuple[Trial, ...] = tuple(
        replace(trial, status="failed", error=EVIL) if trial.number == 2 else trial for trial in data.trials
    )
    measured = tuple(replace(each, clip=renamed.get(each.clip, each.clip)) for each in data.measurements)
    run = replace(
        data.run,
        id=EVIL,
        created=EVIL,
        machine={"cpu": EVIL, EVIL: EVIL, "cores": 8},
        versions={EVIL: [EVIL]},
        material={"clips": [{"name": EVIL, "part": EVIL, "source": EVIL, "fps": EVIL, "sha256": EVIL}]},
        command=("video-pipeline", EVIL),
    )
    report = report_of(replace(data, run=run, trials=trials, measurements=measured), min_vmaf=90)
    page = Page(page_html(report, no_crops=EVIL, commands=[EVIL]))
    assert len(page.all("script")) == 1
    assert page.all("img") == []
    assert not any("onerror" in attributes for _, attributes in page.elements)
    assert page.text.count("alert(1)") > 10


def test_crops_are_in_the_page_side_by_side() -> None:
    data = make_run()
    crop = Crop(
        place=Place("grain", 7, 91.2),
        left_px=16,
        top_px=32,
        width_px=240,
        height_px=240,
        drawn=b"drawn",
        encoded=((data.trials[2], b"chosen"), (data.trials[0], b"reference")),
        difference=b"difference",
    )
    page = Page(page_html(report_of(data), crops=[crop]))
    pictures = page.all("img")
    assert len(pictures) == 4
    assert all(picture["src"].startswith("data:image/png;base64,") for picture in pictures)
    assert pictures[0]["alt"] == "drawn"
    assert "grain, frame 7" in page.text


def test_limits_that_nothing_keeps_leave_a_page_that_says_so() -> None:
    report = report_of(make_run(), min_vmaf=99.9)
    assert report.answer is None
    page = Page(page_html(report))
    assert "no trial of run a has it" in page.text
    assert len([row for row in page.all("tr") if "data-trial" in row]) == 21


def without_quality(data: RunData) -> RunData:
    nothing = dict.fromkeys(METRICS)
    return replace(data, measurements=tuple(replace(each, **nothing) for each in data.measurements))


@pytest.mark.parametrize(
    "data",
    [
        make_run([GUIDE]),
        make_run([{"preset": "medium", "crf": 20}], held_out={}, repeats=1, clips={"still": 0.3}),
        make_run(grid(("veryfast",))),
        without_quality(make_run()),
    ],
    ids=["one trial", "one trial, clip and repeat", "one curve", "no quality"],
)
def test_a_run_that_can_say_little_has_a_page_too(data: RunData) -> None:
    report = report_of(data)
    Page(page_html(report))
    json.dumps(report_data(report), allow_nan=False)


def test_without_limits_the_answer_is_no_worse_and_no_larger_than_the_reference() -> None:
    report = report_of(make_run())
    assert dict(report.query.limits) == {
        "max_vmaf_loss": 0.1,
        "max_p1_loss": 0.5,
        "max_xpsnr_loss": 0.2,
        "max_bytes": 1.0,
    }
    assert report.level == pytest.approx((report.summaries[0].vmaf or 0) - 0.1)


def test_the_limits_of_the_search_are_the_questions_if_it_had_some() -> None:
    data = make_run()
    run = replace(data.run, objective={"min_vmaf": 97.0, "max_mbit_s": 6.5})
    report = report_of(replace(data, run=run))
    assert dict(report.query.limits) == {"min_vmaf": 97.0, "max_mbit": 6.5}


def test_a_wrong_price_or_reference_is_an_error_even_if_nothing_keeps_the_limits() -> None:
    with pytest.raises(InputError, match="price: got -1"):
        make_report(make_run(), query=Query(limits={"min_vmaf": 99.9}), price=-1)
    with pytest.raises(InputError, match="trial: got 99"):
        make_report(make_run(), reference=99)
