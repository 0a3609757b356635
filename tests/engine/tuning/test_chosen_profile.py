"""A trial's settings become a profile whose evidence is the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.tuning_runs import make_run
from video_pipeline.engine.config.profiles import check_evidence, load_profile, write_profile
from video_pipeline.engine.errors import ConfigError, InputError
from video_pipeline.engine.tuning.chosen_profile import NOT_A_PROFILE, make_profile
from video_pipeline.engine.tuning.records import Trial
from video_pipeline.engine.tuning.runs import run_as_json
from video_pipeline.engine.tuning.space import OWN_KEYS

TRIAL = Trial(
    number=7,
    settings={
        "preset": "superfast",
        "crf": 20.5,
        "gop": 4,
        "mbtree": True,
        "segment_seconds": 4,
        "tune": None,
    },
    encoder="libx264",
    status="done",
)


@pytest.fixture
def evidence(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / "run.json"
    path.parent.mkdir()
    path.write_text(run_as_json(make_run()), encoding="utf-8")
    return path


def test_the_profile_has_the_settings_and_its_evidence_matches(tmp_path: Path, evidence: Path) -> None:
    target = tmp_path / "profiles" / "mine.yaml"
    target.parent.mkdir()
    write_profile(make_profile("mine", TRIAL, evidence=evidence, target=target, description="Ours."), target)
    profile = load_profile(target)
    assert profile.video.model_dump(exclude_unset=True) == {
        "preset": "superfast",
        "crf": 20.5,
        "gop": 4,
        "mbtree": True,
    }
    assert {name: each.measured for name, each in profile.encoders.items()} == {
        "libx264": True,
        "h264_nvenc": False,
    }
    assert profile.evidence is not None
    assert profile.evidence.run == "../runs/run.json"
    assert check_evidence(profile)
    evidence.write_text("another run", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"evidence\.sha256"):
        check_evidence(profile)


@pytest.mark.parametrize(("key", "value"), [("segment_seconds", 8), ("threads", 2), ("workers", 4)])
def test_settings_that_no_profile_can_have_are_an_error(
    tmp_path: Path, evidence: Path, key: str, value: int
) -> None:
    trial = replace(TRIAL, settings={**TRIAL.settings, key: value})
    with pytest.raises(InputError, match=f"trial 7: {key} is {value}, which no profile can set"):
        make_profile("mine", trial, evidence=evidence, target=tmp_path / "mine.yaml")


def test_wrong_names_and_settings_without_a_preset_are_errors(tmp_path: Path, evidence: Path) -> None:
    target = tmp_path / "mine.yaml"
    with pytest.raises(ConfigError, match=r"profile: name: got 'a b'"):
        make_profile("a b", TRIAL, evidence=evidence, target=target)
    bare = replace(TRIAL, settings={"crf": 20})
    with pytest.raises(ConfigError, match=r"video\.preset: is missing"):
        make_profile("mine", bare, evidence=evidence, target=target)
    with pytest.raises(ConfigError, match=r"evidence .*gone\.json: cannot be read"):
        make_profile("mine", TRIAL, evidence=tmp_path / "gone.json", target=target)


def test_every_key_of_the_search_alone_has_the_value_of_a_render() -> None:
    assert NOT_A_PROFILE.keys() == OWN_KEYS.keys()
