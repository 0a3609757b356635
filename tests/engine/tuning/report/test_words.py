"""Answers in words: the settings first, every figure with its doubt."""

from __future__ import annotations

import pytest

from tests.support.tuning_runs import grid, make_run
from video_pipeline.engine.tuning.analysis import analyse
from video_pipeline.engine.tuning.answers import answer
from video_pipeline.engine.tuning.queries import Query
from video_pipeline.engine.tuning.report.words import (
    answer_lines,
    percent,
    query_text,
    settings_text,
    signed,
    value_text,
)

ANALYSIS = analyse(make_run())


def test_settings_are_written_as_in_a_configuration_preset_and_rate_first() -> None:
    settings = {"trellis": 1, "mbtree": True, "crf": 20.5, "preset": "superfast", "tune": None, "aq": "none"}
    assert (
        settings_text("libx264", settings)
        == "libx264 superfast, crf 20.5, aq none, mbtree true, trellis 1, tune null"
    )
    assert settings_text("h264_nvenc", {"bitrate": "8000k"}) == "h264_nvenc, bitrate 8000k"


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (None, "null"), (20.0, "20"), (7, "7"), ("hex", "hex")]
)
def test_a_value_is_written_as_in_yaml(value: str | float | bool | None, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.234, "+1.23"), (-0.5, "\N{MINUS SIGN}0.50"), (0.0, "0.00"), (-0.001, "0.00")]
)
def test_a_difference_has_a_sign_unless_it_is_zero(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 %"), (0.996, "99.6 %"), (0.5, "50 %"), (0.0, "0 %"), (0.999, "99.9 %")]
)
def test_nearly_all_is_not_called_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_query_names_its_goal_and_limits() -> None:
    query = Query(goal="smallest", encoder="libx264", limits={"min_vmaf": 97, "max_mbit": 6})
    assert query_text(query) == "Smallest of libx264 with VMAF ≥ 97.00 and Mbit/s ≤ 6.00"
    assert query_text(Query()) == "Fastest"


def test_an_answer_names_settings_limits_reference_held_out_clips_and_density() -> None:
    found = answer(ANALYSIS, Query(limits={"min_vmaf": 97, "max_mbit": 7}), price=0.5)
    text = "\n".join(answer_lines(found))
    assert text.startswith(
        "Fastest with VMAF ≥ 97.00 and Mbit/s ≤ 7.00: trial 7 (libx264 veryfast, crf 20).\n"
    )
    for part in (
        "in 100 % of 1000 resamples",
        "VMAF: 97.47, on other clips",
        "Beside trial 0 (libx264 medium, bitrate 8000k): 3.2",
        "On 3 clips that the search did not see",
        "8 cores encode",
        "an hour of video costs 0.0",
    ):
        assert part in text


def test_what_the_data_is_too_small_for_is_said() -> None:
    few = analyse(make_run(grid(rates=(20,)), clips={"still": 0.3}, repeats=1, held_out={}))
    lines = answer_lines(answer(few, Query()))
    assert "Note: one clip: nothing is known about other material." in lines
    assert "Note: speed measured once: its spread is not known; repeat with --repeats 3." in lines
    assert "How often the same would be chosen is not known: speed was measured once." in lines
    assert not any("%" in line for line in lines)
    assert "These settings were not measured on held-out clips." in lines
    assert not any("on other clips" in line for line in lines)


def test_with_one_clip_a_limit_is_said_beside_the_value() -> None:
    one = analyse(make_run(clips={"still": 0.3}))
    lines = answer_lines(answer(one, Query(limits={"min_vmaf": 90, "max_mbit": 6})))
    assert any(line.startswith("VMAF: 9") and line.endswith("; asked for: at least 90.00.") for line in lines)
    assert any(line.endswith("; asked for: at most 6.00.") for line in lines)


def test_several_clips_measured_once_have_shares_of_quality_and_none_of_speed() -> None:
    lines = answer_lines(answer(analyse(make_run(repeats=1)), Query(limits={"min_vmaf": 97, "min_fps": 30})))
    assert [line.split(":")[0] for line in lines if "%" in line] == ["VMAF"]


def test_the_reference_is_not_compared_with_itself() -> None:
    found = answer(ANALYSIS, Query(goal="best", limits={"min_xpsnr": 39.5}))
    assert found.chosen.trial.number == 0
    lines = answer_lines(found)
    assert not any(line.startswith("Beside") for line in lines)
    assert "That is the reference itself: nothing measured is better within these limits." in lines
