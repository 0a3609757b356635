"""Accounts on TikTok: connected in a browser, and refresh tokens that end with their first use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.engine.publish.test_accounts import status_of
from tests.engine.publish.test_tiktok import connected
from tests.support.command import run
from tests.support.kill_points import killed_before_line
from tests.support.tiktok_fake import CLIENT_SECRET, TiktokFake
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.cli.accounts_command import PLATFORMS
from video_pipeline.engine.errors import InputError, ServiceError
from video_pipeline.engine.publish import oauth
from video_pipeline.engine.publish.accounts import AccountFiles, AccountTokens, StoredAccount
from video_pipeline.engine.publish.connecting import CONNECTED
from video_pipeline.engine.publish.oauth import read_app


@pytest.fixture
def fake() -> Iterator[TiktokFake]:
    server = TiktokFake()
    yield server
    server.close()


def test_the_command_knows_all_platforms_whose_accounts_are_connected() -> None:
    assert set(PLATFORMS) == set(CONNECTED)


@pytest.mark.parametrize(("mode", "scopes"), [("inbox", 2), ("direct", 3)])
def test_an_account_is_connected_in_a_browser_checked_listed_and_removed(
    fake: TiktokFake, tmp_path: Path, mode: str, scopes: int
) -> None:
    settings = {
        "node": {"state_path": str(tmp_path / "state")},
        "publishing": {"accounts": {"tiktok": {"studio": {"endpoint": fake.url, "mode": mode}}}},
    }
    config = tmp_path / "node.yaml"
    config.write_text(yaml.safe_dump({"video_pipeline": settings}))
    fake.vendor.refresh_lifetime = 6 * 86_400
    command = ["add", "tiktok", "studio", "--client", str(fake.app_file(tmp_path)), "--config", str(config)]
    with subprocess.Popen(
        [sys.executable, "-m", "video_pipeline", "accounts", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        told = [program.stderr.readline(), program.stderr.readline()]
        address = told[1].strip()
        assert len(parse_qs(urlsplit(address).query)["scope"][0].split(",")) == scopes
        assert status_of(address) == 200
        output, errors = program.communicate(timeout=2 * FAST_SECONDS)
    assert program.returncode == 0, errors
    file = tmp_path / "state" / "accounts" / "tiktok" / "studio.json"
    assert file.stat().st_mode & 0o777 == 0o600
    texts = [*told, output, errors]
    for verb in (("check", "tiktok", "studio"), ("list",)):
        done = run("accounts", *verb, "--config", config)
        assert done.returncode == 0, done.stderr
        texts += [done.stdout, done.stderr]
    assert "tiktok/studio  works: Lighthouse Stories; connected until 2" in "".join(texts)
    assert "connect it again soon" in "".join(texts)
    fake.vendor.tokens.clear()
    stored = json.loads(file.read_text())
    stored["grant"]["expires_at"] = 0.0
    file.write_text(json.dumps(stored))
    done = run("accounts", "remove", "tiktok", "studio", "--config", config)
    assert done.stdout == "tiktok/studio  is removed\n"
    assert fake.vendor.refreshed == 1, "access is revoked by an access token that is valid"
    assert not file.exists()
    assert not fake.vendor.refreshes
    texts += [done.stdout, done.stderr]
    for secret in (*fake.vendor.tokens, "rft.", "act.", CLIENT_SECRET):
        assert not [text for text in texts if secret in text]
    assert fake.problems == []


@pytest.mark.parametrize(
    "content", ["no json", "[]", "{}", '{"client_key": "a"}', '{"client_key": "a", "client_secret": ""}']
)
def test_a_file_without_key_and_secret_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "tiktok.json"
    file.write_text(content)
    with pytest.raises(InputError, match=re.escape('write {"client_key": "…", "client_secret": "…"}')):
        read_app(file, "tiktok")


def test_an_app_needs_no_more_than_its_key_and_secret(tmp_path: Path) -> None:
    file = tmp_path / "tiktok.json"
    file.write_text('{"client_key": "a", "client_secret": "b"}')
    app = read_app(file, "tiktok")
    assert app.token_uri == "https://open.tiktokapis.com/v2/oauth/token/"
    assert app.auth_uri == "https://www.tiktok.com/v2/auth/authorize/"


def test_processes_that_need_a_token_at_once_use_up_one_refresh_token(
    fake: TiktokFake, tmp_path: Path
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=30.0))
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from video_pipeline.engine.publish.accounts import AccountFiles, AccountTokens\n"
        "tokens = AccountTokens(files=AccountFiles(Path(sys.argv[1])), platform='tiktok', name='default')\n"
        "print(tokens.token().reveal())\n"
    )

    def in_a_process(_: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, str(files.folder)],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout.strip()

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(in_a_process, range(4)))
    assert len(found) == 1
    assert fake.vendor.refreshed == 1
    stored = files.load("tiktok", "default", StoredAccount).grant
    assert {stored.access_token} == found
    assert [stored.refresh_token] == list(fake.vendor.refreshes)


def test_a_process_killed_while_it_refreshes_loses_the_token_only_between_answer_and_file(
    fake: TiktokFake, tmp_path: Path
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    tokens = AccountTokens(files=files, platform="tiktok", name="default")
    before = files.path("tiktok", "default").read_bytes()
    refreshes = dict(fake.vendor.refreshes)
    outcomes = []
    point = 1
    while True:
        files.path("tiktok", "default").write_bytes(before)
        fake.vendor.refreshes = dict(refreshes)
        fake.vendor.refreshed = 0
        was_killed = killed_before_line(point, tokens.token, modules="video_pipeline.engine.publish")
        answered = fake.vendor.refreshed == 1
        is_stored = files.path("tiktok", "default").read_bytes() != before
        if answered and not is_stored:
            with pytest.raises(
                ServiceError, match="invalid_grant: access has ended; connect the account again"
            ):
                tokens.token()
            outcomes.append("lost")
        else:
            assert tokens.token().reveal() in fake.vendor.tokens, f"killed before line {point}"
            stored = files.load("tiktok", "default", StoredAccount).grant
            assert [stored.refresh_token] == list(fake.vendor.refreshes)
            outcomes.append("stored" if is_stored else "asked")
        if not was_killed:
            break
        point += 1
    assert set(outcomes) == {"asked", "lost", "stored"}
    assert outcomes == sorted(outcomes, key=("asked", "lost", "stored").index)


def test_a_disk_that_is_full_uses_up_no_refresh_token(
    fake: TiktokFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    tokens = AccountTokens(files=files, platform="tiktok", name="default")

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(ServiceError, match="cannot be written: No space left on device"):
            tokens.token()
    assert fake.vendor.refreshed == 0
    assert tokens.token().reveal() in fake.vendor.tokens


def test_a_node_is_warned_of_a_connection_that_ends_within_a_week(
    fake: TiktokFake, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    fake.vendor.refresh_lifetime = 5 * 86_400
    AccountTokens(files=files, platform="tiktok", name="default", clock=time.time).token()
    assert "account default of tiktok: is connected until 2" in caplog.text
    assert "connect it again" in caplog.text


def test_a_token_endpoint_that_says_its_error_with_the_status_200_is_believed(
    fake: TiktokFake, tmp_path: Path
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    fake.vendor.refreshes.clear()
    account = files.load("tiktok", "default", StoredAccount)
    with pytest.raises(ServiceError, match="invalid_grant") as told:
        oauth.refreshed_grant(account.app, account.grant, timeout=FAST_SECONDS, now=time.time())
    assert told.value.kind == "denied"
    assert "rft.first" not in str(told.value)
