"""Profiles as a layer of the configuration, as files, and with the runs that they were chosen from."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.support.paths import ROOT
from video_pipeline.engine.cli.options import PROFILE_HELP
from video_pipeline.engine.cli.schema import config_schema
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.encoder_keys import ENCODER_KEYS, NEUTRAL, RATE_KEYS
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.config.profiles import (
    DEFAULT_PROFILE,
    FOLDER,
    Profile,
    check_evidence,
    facts_of,
    load_profile,
    profile_names,
    profile_of,
    write_profile,
)
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError

VALIDATOR = jsonschema.Draft202012Validator(config_schema())
MINE: dict[str, Any] = {
    "name": "mine",
    "video": {"preset": "superfast", "crf": 20.5, "gop": 4, "trellis": 1, "mbtree": True, "b_adapt": 0},
}


def video(**given: Any) -> Video:
    return load_config({"video": given}, environ=False).video


def changed(**given: Any) -> dict[str, Any]:
    """Return the encoder keys that do not have the value of a key that a profile leaves out."""
    found = video(**given)
    return {key: getattr(found, key) for key in ENCODER_KEYS if getattr(found, key) != NEUTRAL.get(key)}


def refusal(**given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config({"video": given}, environ=False)
    return str(caught.value)


def file(folder: Path, data: Any = MINE, name: str = "mine.yaml") -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_the_profiles_of_the_package_are_the_files_of_its_folder_and_bear_their_names() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(profile_names())
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.description
        assert {"libx264", "h264_nvenc"} <= profile.encoders.keys()
        assert name in PROFILE_HELP


def test_the_values_of_the_default_profile_are_the_defaults() -> None:
    keys = load_profile(DEFAULT_PROFILE).keys()
    assert keys == {key: getattr(Video(), key) for key in ENCODER_KEYS}
    assert Video().profile == DEFAULT_PROFILE
    assert facts_of(DEFAULT_PROFILE) == facts_of(load_profile(DEFAULT_PROFILE))


def test_the_evidence_of_the_profiles_of_the_package_is_in_the_checkout() -> None:
    for name in profile_names():
        profile = load_profile(name)
        assert check_evidence(profile) == (profile.evidence is not None), name


def test_a_profile_gives_its_keys_and_resets_the_others() -> None:
    assert changed(profile="guide") == {"preset": "medium", "bitrate": "8000k"}
    assert changed(profile=MINE) == MINE["video"]
    below = load_config({"video": {"refs": 4, "gop": 1, "crf": 30, "fps": 25}}, environ=False)
    above = below.override("video", profile="guide").video
    assert (above.refs, above.gop, above.crf, above.bitrate, above.fps) == (None, 2, None, "8000k", 25)


def test_a_key_beside_a_profile_or_above_it_wins() -> None:
    assert changed(profile=MINE, gop=1, trellis=0) == {**MINE["video"], "gop": 1, "trellis": 0}
    assert changed(profile=MINE, trellis=None) == {k: v for k, v in MINE["video"].items() if k != "trellis"}
    config = load_config({"video": {"profile": "draft"}}, environ=False)
    assert config.override("video", crf=30).video.crf == 30
    assert config.override("video", crf=30).video.preset == video(profile="draft").preset


@pytest.mark.parametrize("key", RATE_KEYS)
@pytest.mark.parametrize("profile", ["guide", "archive"])
def test_a_rate_that_is_set_takes_the_place_of_the_profile_s(profile: str, key: str) -> None:
    value: Any = {"crf": 18.0, "bitrate": "4M", "quality": 96.0}[key]
    found = video(profile=profile, **{key: value})
    assert {other: getattr(found, other) for other in RATE_KEYS if getattr(found, other) is not None} == {
        key: value
    }


@pytest.mark.parametrize(
    ("below", "above"), [({"crf": 18.0}, {"bitrate": "4M"}), ({"bitrate": "4M"}, {"crf": 18.0})]
)
def test_a_rate_on_a_higher_layer_takes_the_place_of_the_other(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    config = load_config({"video": below}, environ=False)
    for merged in (config.override("video", **above), job_config(config, {"video": above})):
        kept = {key: getattr(merged.video, key) for key in RATE_KEYS}
        assert {key: value for key, value in kept.items() if value is not None} == above


def test_a_preset_without_a_profile_holds_alone() -> None:
    assert video(preset="slow").profile == "none"
    assert changed(preset="slow") == {"preset": "slow", "crf": 16, "gop": 4}
    assert profile_of(video(preset="slow").profile) is None
    assert changed(profile=MINE, preset="slow") == {**MINE["video"], "preset": "slow"}
    assert changed(profile="none", refs=3) == {"preset": "superfast", "crf": 16, "gop": 4, "refs": 3}
    assert (
        load_config({"video": {"profile": MINE}}, environ=False)
        .override("video", preset="slow")
        .video.trellis
        == 1
    )


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"preset": "slow"},
        {"profile": "draft"},
        {"profile": "guide", "crf": 18, "refs": 3},
        {"profile": MINE, "bitrate": "2M"},
    ],
)
def test_what_was_given_is_what_a_node_reads_again(given: dict[str, Any]) -> None:
    config = load_config({"video": given}, environ=False)
    sent = config.model_dump(mode="json", exclude_unset=True)
    assert sent["video"].keys() == given.keys()
    assert load_config(sent, environ=False) == config
    job = {"video": {"preset": "fast"}}
    assert job_config(load_config(sent, environ=False), job) == job_config(config, job)


def test_a_profile_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path)
    assert changed(profile=str(path)) == changed(profile=path) == MINE["video"]
    assert load_profile(path).keys() == load_profile(str(path)).keys()
    monkeypatch.chdir(tmp_path)
    assert changed(profile="mine.yaml") == MINE["video"]
    monkeypatch.setenv("HOME", str(tmp_path))
    assert changed(profile="~/mine.yaml") == MINE["video"]
    config = load_config({"video": {"profile": "mine.yaml"}}, environ=False)
    path.unlink()
    sent = config.model_dump(mode="json", exclude_unset=True)
    assert load_config(sent, environ=False).video.trellis == 1


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (
            "socail",
            "got 'socail'; allowed: draft, social, archive, guide, none, or a file whose name ends in",
        ),
        ("socail", "(did you mean 'social'?)"),
        ("gone.yaml", "got 'gone.yaml'; gone.yaml: cannot be read: No such file"),
        (5, "video.profile: got 5; allowed: draft"),
        (None, "video.profile: got None; allowed: draft"),
        (
            {"name": "a", "video": {"preset": "slow", "crf": 99}},
            "video.profile: video.crf: got 99; allowed: 0 to 51",
        ),
        ({"name": "a", "video": {"crf": 9}}, "video.preset: is missing; a profile names its preset"),
        ({"name": "none", "video": MINE["video"]}, "'none' means no profile"),
        ({"name": "../a", "video": MINE["video"]}, "name: got '../a'"),
        ({**MINE, "encoders": {"x265": {"measured": False}}}, "x265"),
        ({**MINE, "encoders": {"libx264": {"measured": True}}}, "evidence: is missing"),
        ({**MINE, "evidence": {"run": "a.json", "sha256": "abc"}}, "evidence.sha256: got 'abc'"),
        ({**MINE, "fps": 30}, "fps: unknown key"),
        ({**MINE, "video": {"preset": "slow", "fps": 30}}, "video.fps: unknown key"),
    ],
)
def test_a_wrong_profile_is_named_with_what_is_allowed(choice: Any, words: str) -> None:
    text = refusal(profile=choice)
    assert text.startswith("configuration: video.profile: ")
    assert words in text
    schema_takes = VALIDATOR.is_valid({"video_pipeline": {"video": {"profile": choice}}})
    assert schema_takes == (words.startswith(("got 'gone", "video.preset: is", "'none'", "evidence: is")))


@pytest.mark.parametrize("choice", ["draft", "none", "my.yaml", "My.YML", MINE, {**MINE, "description": "x"}])
def test_the_schema_takes_what_the_engine_takes(
    choice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("my.yaml", "My.YML"):
        file(tmp_path, name=name)
    video(profile=choice)
    assert VALIDATOR.is_valid({"video_pipeline": {"video": {"profile": choice}}})


@pytest.mark.parametrize(
    ("text", "words"),
    [("name: [", "not YAML"), ("- a", "got ['a']"), ("", "got None"), ("name: a\nname: b", "given twice")],
)
def test_a_file_that_is_no_profile_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_profile(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert f"{path}: " in refusal(profile=str(path))


def test_a_job_has_the_node_s_profiles_or_the_content_of_its_own_and_no_file(tmp_path: Path) -> None:
    node = load_config({"video": {"profile": "guide", "refs": 5}}, environ=False)
    assert job_config(node, {"video": {"profile": "draft"}}).video.refs is None
    assert job_config(node, {"video": {"profile": MINE}}).video.trellis == 1
    assert job_config(node, {"video": {"fps": 25}}).video.bitrate == "8000k"
    path = file(tmp_path)
    with pytest.raises(ConfigError, match=r"config: video\.profile: got .*, a file; a job's profile is one"):
        job_config(node, {"video": {"profile": str(path)}})
    with pytest.raises(ConfigError, match=r"config: video\.profile: got 'fast'"):
        job_config(node, {"video": {"profile": "fast"}})


def test_a_written_profile_is_read_again_as_it_was(tmp_path: Path) -> None:
    profile = Profile.model_validate(
        {**MINE, "description": "für Wände: #1", "evidence": {"run": "r.json", "sha256": "0" * 64}}
    )
    path = tmp_path / "out.yaml"
    write_profile(profile, path)
    assert load_profile(path).as_data() == profile.as_data() == {**profile.as_data()}
    assert load_profile(path).keys() == profile.keys()
    with pytest.raises(ConfigError, match=r"out\.txt: the name must end|ends in \.yaml"):
        write_profile(profile, tmp_path / "out.txt")
    with pytest.raises(ConfigError, match="cannot be written: No such file or directory"):
        write_profile(profile, tmp_path / "no" / "out.yaml")
    assert [path.name for path in tmp_path.iterdir()] == ["out.yaml"]


def test_the_evidence_of_a_profile_is_checked_where_its_file_is(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "run.json"
    run.parent.mkdir()
    run.write_bytes(b"{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    path = file(tmp_path, {**MINE, "evidence": {"run": "runs/run.json", "sha256": digest}})
    profile = load_profile(path)
    assert check_evidence(profile)
    run.write_bytes(b"{ }")
    with pytest.raises(ConfigError) as caught:
        check_evidence(profile)
    assert str(run) in str(caught.value)
    assert digest in str(caught.value)
    run.unlink()
    assert not check_evidence(profile)
    assert not check_evidence(load_profile(file(tmp_path)))


def test_the_profiles_are_documented() -> None:
    text = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
    for name in profile_names():
        assert f"`{name}`" in text


def test_the_default_configuration_has_the_default_profile() -> None:
    assert (
        Config()
        == load_config({}, environ=False)
        == load_config({"video": {"profile": "social"}}, environ=False)
    )
