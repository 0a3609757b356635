"""Search spaces: what a file declares, every combination once, and clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.tuning.space import Span, load_space, parse_space, space_names


def _space(**search: Any) -> dict[str, Any]:
    return {"search": {"preset": ["veryfast"], **search}}


def _grid(data: dict[str, Any]) -> list[dict[str, Any]]:
    return list(parse_space(data, where="space").grid())


def test_a_grid_has_every_combination_once() -> None:
    found = _grid(_space(crf=[20, 22], gop=[2, 4]))
    assert found == [
        {"encoder": "libx264", "preset": "veryfast", "crf": crf, "gop": gop}
        for crf in (20, 22)
        for gop in (2, 4)
    ]


def test_a_span_with_a_step_has_both_ends() -> None:
    assert [each["crf"] for each in _grid(_space(crf={"from": 20, "to": 21, "step": 0.5}))] == [20, 20.5, 21]
    whole = [each["bf"] for each in _grid(_space(bf={"from": 0, "to": 3, "step": 1}))]
    assert whole == [0, 1, 2, 3]
    assert all(isinstance(each, int) for each in whole)


def test_a_key_with_a_condition_is_left_out_where_it_does_not_hold() -> None:
    found = _grid(_space(bf=[0, 2], b_adapt={"values": [0, 1], "when": {"bf": [2]}}))
    assert [(each["bf"], each.get("b_adapt")) for each in found] == [(0, None), (2, 0), (2, 1)]
    assert "b_adapt" not in found[0]


def test_a_condition_may_name_a_fixed_key_and_null() -> None:
    data = _space(crf=[None, 20], bitrate={"values": ["1M"], "when": {"crf": [None]}})
    assert [(each.get("crf"), each.get("bitrate")) for each in _grid(data)] == [(None, "1M"), (20, None)]
    fixed = {"fixed": {"bf": 0}, **_space(b_adapt={"values": [1], "when": {"bf": [2]}})}
    assert _grid(fixed) == [{"encoder": "libx264", "preset": "veryfast", "bf": 0}]


def test_a_profile_stands_for_its_keys() -> None:
    space = parse_space(
        {"always": [{"profile": "guide"}, {"profile": "guide", "crf": 18}]}, where="space"
    ).always_complete()
    assert space[0] == {"encoder": "libx264", "preset": "medium", "bitrate": "8000k", "gop": 2.0}
    assert space[1] == {"encoder": "libx264", "preset": "medium", "crf": 18, "gop": 2.0}


def test_null_is_the_presets_own_value_beside_a_profile_too() -> None:
    space = {"fixed": {"profile": "social"}, "search": {"trellis": [None, 0], "qcomp": [None, 0.7]}}
    found = _grid(space)
    assert [(each.get("trellis"), each.get("qcomp")) for each in found] == [
        (None, None),
        (None, 0.7),
        (0, None),
        (0, 0.7),
    ]
    assert all(each["preset"] == "superfast" and each["crf"] == 16 for each in found)
    always = parse_space({"always": [{"profile": "social", "trellis": None}]}, where="space")
    assert "trellis" not in always.always_complete()[0]
    rate = {"fixed": {"profile": "guide"}, "search": {"crf": [None, 20]}}
    assert [(each.get("crf"), each.get("bitrate")) for each in _grid(rate)] == [(None, "8000k"), (20, None)]


def test_a_quality_is_refused_and_is_not_among_the_keys_of_a_space() -> None:
    reason = "a render chooses the crf of each segment for a quality; search crf instead"
    for data, place in (
        (_space(quality=[85, 99, "draft"]), "search.quality"),
        ({"fixed": {"quality": 95}, **_space()}, "fixed.quality"),
        ({"always": [{"preset": "fast", "quality": "social"}]}, r"always\[0\].quality"),
    ):
        with pytest.raises(ConfigError, match=rf"{place}: is no key of a space: {reason}"):
            parse_space(data, where="space")
    with pytest.raises(ConfigError, match="known keys: ") as caught:
        parse_space(_space(zzz=[1]), where="space")
    assert "quality" not in str(caught.value)


def test_a_profile_with_a_quality_needs_a_rate_beside_it(tmp_path: Path) -> None:
    path = str(tmp_path / "even.yaml")
    Path(path).write_text("name: even\nvideo: {preset: fast, quality: 95}\n")
    for data in (
        {"always": [{"profile": path}]},
        {"fixed": {"profile": path}, "search": {"bf": [0, 2]}},
        {"fixed": {"profile": path}, "search": {"crf": [None, 20]}},
    ):
        with pytest.raises(ConfigError, match=r"profile: got 'even', which has a quality"):
            parse_space(data, where="space")
    data = {"fixed": {"profile": path}, "search": {"crf": [20]}}
    assert _grid(data) == [{"encoder": "libx264", "preset": "fast", "crf": 20, "gop": 2}]


def test_a_span_of_too_many_numbers_is_an_error_at_once() -> None:
    for step in (0.0000001, 5e-324):
        with pytest.raises(ConfigError, match=r"search\.crf: has more than 100000 combinations"):
            parse_space(_space(crf={"from": 0, "to": 51, "step": step}), where="space")
    span = parse_space(_space(crf={"from": 0, "to": 51, "step": 0.001}), where="space").parameters[1].values
    assert isinstance(span, Span)
    assert [span.nearest(number) for number in (-1, 20.0004, 20.0006, 99)] == [0, 20, 20.001, 51]
    assert span.numbers()[20_001] == span.number_at(20_001) == 20.001


@pytest.mark.parametrize("name", space_names())
def test_a_space_of_the_package_is_the_same_after_a_run_has_stored_it(name: str) -> None:
    space = load_space(name)
    assert load_space(space.describe()) == space
    assert space.always


def test_a_space_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("search: {preset: [fast], crf: [20]}\n")
    assert load_space(path).name == "mine"
    assert load_space(str(path)).encoders() == ("libx264",)
    for text, words in (("- a\n", "got list"), ("a: [\n", "not YAML"), ("", "got NoneType")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=words):
            load_space(path)
    with pytest.raises(ConfigError, match=r"space: got '.*missing\.yaml', which is no file; allowed: nvenc,"):
        load_space(tmp_path / "missing.yaml")


def test_the_encoders_of_a_space_are_known_before_it_is_searched() -> None:
    data = {"search": {"encoder": ["libx264", "h264_nvenc"], "preset": ["fast"]}}
    assert parse_space(data, where="space").encoders() == ("libx264", "h264_nvenc")
    fixed = {"fixed": {"encoder": "h264_nvenc"}, **_space(), "always": [{"profile": "social"}]}
    assert parse_space(fixed, where="space").encoders() == ("h264_nvenc", "libx264")


def test_a_grid_needs_steps() -> None:
    with pytest.raises(ConfigError, match="crf: from and to without step"):
        _grid(_space(crf={"from": 20.0, "to": 24.0}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"serch": {}}, r"space: serch: unknown key \(did you mean 'search'\?\)"),
        ({}, "space: search: is missing"),
        ({"search": [1]}, "search, fixed: allowed: mappings"),
        ({"search": {"crf": [20]}}, "search: preset is missing"),
        ({"always": [{"crf": 20}]}, r"always\[0\]: preset is missing"),
        ({"always": {"preset": "fast"}}, "always: got"),
        (_space(crff=[1]), r"search\.crff: unknown key \(did you mean 'crf'\?\)"),
        (_space(crf=[99]), r"search\.crf: got 99; allowed: 0 to 51"),
        (_space(crf=[20, 20]), "at least one value, each once"),
        (_space(crf=[]), "at least one value, each once"),
        (_space(crf=[[1]]), "allowed: text, numbers, true, false, null"),
        (_space(crf={"from": 24, "to": 20}), "allowed: from up to `to`"),
        (_space(crf={"from": 20, "to": 24, "step": 0}), "with a step above 0"),
        (_space(crf={"from": "a", "to": 24}), "allowed: a number"),
        (_space(crf={"from": 20}), "allowed: a list, values, or from, to and step"),
        (_space(crf={"from": 20, "to": 60}), r"search\.crf: got 60; allowed: 0 to 51"),
        (
            _space(bf={"values": [1], "when": {"crf": [1]}}),
            "when: got 'crf'; allowed: keys before it: preset",
        ),
        (_space(bf={"values": [1], "when": 3}), "when: got 3"),
        (_space(encoder=["libx265"]), r"search\.encoder: got 'libx265' \(did you mean 'libx264'\?\)"),
        (_space(segment_seconds=[0]), r"segment_seconds: got 0; allowed: 0\.1 to 60"),
        (_space(threads=[1.5]), r"threads: got 1\.5; allowed: 1 to 64"),
        ({"fixed": {"crf": 20}, **_space(crf=[1])}, "is in `fixed` too"),
        ({"always": [{"profile": "sozial"}]}, r"always\[0\]\.profile: got 'sozial'"),
        (_space(profile=["social"]), r"search\.profile: unknown key"),
        (_space(encoder=[None, "libx264"]), r"search\.encoder: got null; a trial has one"),
        (_space(gop=[None, 2]), r"search\.gop: got null"),
        ({"search": {"preset": [None, "fast"]}}, r"search\.preset: got null"),
        (
            {"always": [{"preset": "fast", "crf": 20, "bitrate": "1M"}]},
            r"always\[0\]: crf: got 20 and bitrate: '1M'; give one of them",
        ),
        (_space(crf=[None, 20], bitrate=["1M"]), "search: crf: got 20 and bitrate: '1M'; give one of them"),
        (
            {"fixed": {"bitrate": "1M"}, **_space(crf={"from": 18, "to": 20})},
            "search: crf: got 18 and bitrate: '1M'; give one of them",
        ),
    ],
)
def test_a_wrong_space_names_the_place_and_what_is_allowed(data: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_space(data, where="space")


def test_an_unknown_name_lists_the_spaces() -> None:
    with pytest.raises(
        ConfigError, match=r"got 'x265' \(did you mean 'x264'\?\); allowed: nvenc, presets, x264"
    ):
        load_space("x265")
