"""What an account adds to the reasons of `validate`, and what `doctor` says of accounts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.instagram_fake import DAY, InstagramFake
from tests.support.instagram_setup import connected
from video_pipeline.engine.cli.doctor_accounts import account_lines, delivery_problems, examine_accounts
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.publish.account_facts import check_account


@pytest.fixture
def fake() -> Iterator[InstagramFake]:
    server = InstagramFake()
    yield server
    server.close()


def reasons_of(config: Config, platform: str = "reels") -> dict[str, tuple[str, object]]:
    found = check_account(config, platform=platform, account="default")
    return {reason.rule: (reason.severity, reason.value) for reason in found}


def test_an_account_with_time_and_places_left_has_no_reasons(fake: InstagramFake, tmp_path: Path) -> None:
    assert reasons_of(connected(fake, tmp_path)) == {}


@pytest.mark.parametrize("platform", ["reels", "stories"])
def test_a_connection_that_ends_within_a_week_is_a_warning_and_one_that_has_ended_an_error(
    fake: InstagramFake, tmp_path: Path, platform: str
) -> None:
    soon = reasons_of(connected(fake, tmp_path, lives=6.5 * DAY), platform)
    assert soon == {"token_days": ("warning", 6.5)}
    asked = len(fake.asked)
    over = check_account(connected(fake, tmp_path, lives=-DAY), platform=platform, account="default")
    assert [(reason.rule, reason.severity) for reason in over] == [
        ("token_days", "error"),
        ("token_days", "warning"),
    ]
    assert len(fake.asked) == asked, "nothing is asked with a token that has ended"


def test_a_quota_that_is_used_up_is_an_error(fake: InstagramFake, tmp_path: Path) -> None:
    fake.vendor.total = 0
    assert reasons_of(connected(fake, tmp_path)) == {"quota_left": ("error", 0)}


def test_an_account_that_is_not_connected_is_named(tmp_path: Path) -> None:
    config = load_config(
        {
            "publishing": {"accounts": {"instagram": {"default": {}}}},
            "node": {"state_path": str(tmp_path)},
        },
        environ=False,
    )
    with pytest.raises(ConfigError, match="is not connected; connect it by `video-pipeline accounts add"):
        check_account(config, platform="reels", account="default")


def test_doctor_shows_each_account_and_why_a_node_could_not_deliver(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config = connected(fake, tmp_path, lives=3 * DAY).override("storage", deliver=("folder/gone",))
    lines = account_lines(examine_accounts(config))
    assert len(lines) == 1
    assert lines[0].startswith("account       yes instagram/default: connected until 20")
    assert lines[0].endswith("connect it again soon")
    (problem,) = delivery_problems(config)
    assert "storage.deliver[0]: got 'folder/gone'" in problem
    (tmp_path / "shared").mkdir()
    accounts = {"folder": {"default": {"path": str(tmp_path / "shared")}}, "youtube": {"default": {}}}
    file = tmp_path / "node.yaml"
    file.write_text(
        json.dumps({"publishing": {"accounts": accounts}, "node": {"state_path": str(tmp_path / "other")}})
    )
    shown = run("doctor", "--config", file).stdout
    assert "account       yes folder/default: is set up" in shown
    assert "account       no  youtube/default: account default of youtube: is not connected" in shown


def test_doctor_says_that_a_bucket_has_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    config = load_config(
        {
            "publishing": {
                "accounts": {
                    "s3": {"default": {"bucket": "videos"}, "away": {"bucket": "videos", "profile": "x"}}
                }
            }
        },
        environ=False,
    )
    away, default = account_lines(examine_accounts(config))
    assert default.startswith("account       no  s3/default: no keys: set AWS_ACCESS_KEY_ID")
    assert away.startswith("account       no  s3/away: ")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    away, default = account_lines(examine_accounts(config))
    assert default == "account       yes s3/default: is set up"
