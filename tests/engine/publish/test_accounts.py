"""Connected accounts: their files, their tokens, and the command that connects them in a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.engine.publish.test_youtube import connected
from tests.support.command import run
from tests.support.waiting import FAST_SECONDS
from tests.support.youtube_fake import CLIENT_SECRET, YoutubeFake
from video_pipeline.engine.errors import ConfigError, InputError, ServiceError
from video_pipeline.engine.publish.accounts import AccountFiles, AccountTokens, StoredAccount
from video_pipeline.engine.publish.oauth import ask_for_grant, read_app


@pytest.fixture
def fake() -> Iterator[YoutubeFake]:
    server = YoutubeFake()
    yield server
    server.close()


def node_file(fake: YoutubeFake, folder: Path) -> Path:
    settings = {
        "node": {"state_path": str(folder / "state")},
        "publishing": {"accounts": {"youtube": {"studio": {"endpoint": fake.url}}}},
    }
    file = folder / "node.yaml"
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    return file


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=FAST_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_an_account_is_connected_in_a_browser_checked_listed_and_removed(
    fake: YoutubeFake, tmp_path: Path
) -> None:
    config = node_file(fake, tmp_path)
    command = ["add", "youtube", "studio", "--client", str(fake.app_file(tmp_path)), "--config", str(config)]
    with subprocess.Popen(
        [sys.executable, "-m", "video_pipeline", "accounts", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stderr is not None
        told = [program.stderr.readline(), program.stderr.readline()]
        address = told[1].strip()
        redirect = parse_qs(urlsplit(address).query)["redirect_uri"][0]
        assert redirect.startswith("http://127.0.0.1:")
        assert status_of(f"{redirect}?code=stolen&state=guessed") == 400
        assert status_of(f"{redirect}?code=stolen") == 400
        assert status_of(address) == 200
        output, errors = program.communicate(timeout=2 * FAST_SECONDS)
    assert program.returncode == 0, errors
    file = tmp_path / "state" / "accounts" / "youtube" / "studio.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    texts = [*told, output, errors]
    for verb in (("check", "youtube", "studio"), ("list",), ("list", "youtube", "--json")):
        done = run("accounts", *verb, "--config", config)
        assert done.returncode == 0, done.stderr
        texts += [done.stdout, done.stderr]
    assert "youtube/studio  works: Lighthouse Stories; connected until 2" in "".join(texts)
    assert "connect it again soon" in "".join(texts), (
        "the fake's refresh tokens live a little less than 7 days"
    )
    done = run("accounts", "remove", "youtube", "studio", "--config", config)
    assert done.stdout == "youtube/studio  is removed\n"
    assert not file.exists()
    assert not fake.vendor.refreshes
    for secret in (*fake.vendor.tokens, "1//", CLIENT_SECRET):
        assert not [text for text in [*texts, done.stdout, done.stderr] if secret in text]
    assert fake.problems == []


def test_the_list_also_has_accounts_of_the_configuration_that_are_not_connected_or_need_no_connection(
    tmp_path: Path,
) -> None:
    accounts = {"folder": {"archive": {"path": str(tmp_path)}}, "tiktok": {"studio": {}}}
    config = tmp_path / "node.yaml"
    settings = {"node": {"state_path": str(tmp_path / "state")}, "publishing": {"accounts": accounts}}
    config.write_text(yaml.safe_dump({"video_pipeline": settings}))
    assert run("accounts", "list", "--config", config).stdout.splitlines() == [
        "folder/archive  is set up; it needs no connection",
        "tiktok/studio  is not connected: `video-pipeline accounts add tiktok studio`",
    ]
    assert "no account" in run("accounts", "list", "youtube", "--config", config).stdout


def test_access_that_is_not_allowed_is_an_error_without_a_file(fake: YoutubeFake, tmp_path: Path) -> None:
    app = read_app(fake.app_file(tmp_path))
    fake.vendor.allows = False

    def refuse(address: str) -> None:
        threading.Thread(target=status_of, args=(address,)).start()

    with pytest.raises(ServiceError, match="access was not allowed: 'access_denied'"):
        ask_for_grant(app, ("scope",), show=refuse)
    with pytest.raises(ServiceError, match=r"access was not allowed within 0\.1 s"):
        ask_for_grant(app, ("scope",), show=lambda address: None, seconds=0.1)


def test_many_that_need_a_new_token_at_once_refresh_it_once(fake: YoutubeFake, tmp_path: Path) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=30.0))
    tokens = AccountTokens(files=files, platform="youtube", name="default")
    with ThreadPoolExecutor(8) as pool:
        found = {token.reveal() for token in pool.map(lambda _: tokens.token(), range(8))}
    assert len(found) == 1
    assert fake.vendor.refreshed == 1
    refused = tokens.token()
    with ThreadPoolExecutor(8) as pool:
        after = {token.reveal() for token in pool.map(lambda _: tokens.token(refused=refused), range(8))}
    assert len(after) == 1
    assert refused.reveal() not in after
    assert fake.vendor.refreshed == 2
    assert after == {files.load("youtube", "default", StoredAccount).grant.access_token}


def test_a_refreshed_token_is_stored_before_it_is_used(
    fake: YoutubeFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    before = files.path("youtube", "default").read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match="cannot be written: No space left on device") as caught:
        AccountTokens(files=files, platform="youtube", name="default").token()
    assert caught.value.kind == "busy"
    assert files.path("youtube", "default").read_bytes() == before
    assert files.names("youtube") == ["default"]


def test_a_token_endpoint_that_fails_is_told_without_secrets(fake: YoutubeFake, tmp_path: Path) -> None:
    files = AccountFiles.of(connected(fake, tmp_path, lives=-1.0))
    tokens = AccountTokens(files=files, platform="youtube", name="default", clock=time.time)
    fake.vendor.refreshes.clear()
    with pytest.raises(
        ServiceError, match="invalid_grant: access has ended; connect the account again"
    ) as caught:
        tokens.token()
    assert caught.value.kind == "denied"
    assert "1//refresh" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["no json", "{}", json.dumps({"web": {"client_id": "a"}}), json.dumps({"installed": {"client_id": 1}})],
)
def test_a_file_that_is_no_app_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "client.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"--client .*client\.json: "):
        read_app(file)


def test_an_app_whose_secret_would_travel_unencrypted_is_refused(fake: YoutubeFake, tmp_path: Path) -> None:
    file = fake.app_file(tmp_path)
    file.write_text(file.read_text().replace(f"{fake.url}/token", "http://host.example/token"))
    with pytest.raises(
        ConfigError, match=r"token_uri: got 'http://host\.example/token': the key would travel"
    ):
        read_app(file)


def test_an_account_that_is_not_connected_or_damaged_is_named(fake: YoutubeFake, tmp_path: Path) -> None:
    files = AccountFiles.of(connected(fake, tmp_path))
    with pytest.raises(ConfigError, match="account second of youtube: is not connected; connect it by"):
        files.load("youtube", "second", StoredAccount)
    with pytest.raises(InputError, match=r"account: got '\.\./up'"):
        files.load("youtube", "../up", StoredAccount)
    path = files.path("youtube", "default")
    path.write_text(path.read_text().replace('"access_token"', '"a"'))
    with pytest.raises(ConfigError, match=r"default\.json: is damaged") as caught:
        files.load("youtube", "default", StoredAccount)
    assert "1//refresh" not in str(caught.value)
