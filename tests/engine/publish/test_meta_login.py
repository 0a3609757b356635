"""Accounts on Instagram: how they are connected, how their tokens are renewed, and that no secret is shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.engine.publish.test_instagram import connected, quick
from tests.support.command import run
from tests.support.instagram_fake import APP_ID, APP_SECRET, DAY, USER_ID, InstagramFake, RefusalError
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.errors import InputError, ServiceError
from video_pipeline.engine.net.retry import RetryPolicy
from video_pipeline.engine.net.secret import Secret
from video_pipeline.engine.publish.accounts import AccountFiles
from video_pipeline.engine.publish.meta_login import GraphCalls, MetaAccount, MetaTokens, connect_by_token


@pytest.fixture
def fake() -> Iterator[InstagramFake]:
    server = InstagramFake()
    yield server
    server.close()


def stored(files: AccountFiles, name: str = "default") -> MetaAccount:
    return files.load("instagram", name, MetaAccount)


def tokens_of(fake: InstagramFake, folder: Path, *, lives: float, age: float = 2 * DAY) -> MetaTokens:
    config = connected(fake, folder, lives=lives)
    files = AccountFiles.of(config)
    account = stored(files)
    files.save("instagram", "default", account.model_copy(update={"issued_at": time.time() - age}))
    return quick(config).tokens


@pytest.mark.parametrize(
    ("lives", "age", "is_renewed"),
    [(9.9 * DAY, 2 * DAY, True), (10.1 * DAY, 2 * DAY, False), (9.9 * DAY, 0.9 * DAY, False)],
)
def test_a_token_is_renewed_in_its_last_ten_days_and_when_it_is_a_day_old(
    fake: InstagramFake, tmp_path: Path, lives: float, age: float, is_renewed: bool
) -> None:
    tokens = tokens_of(fake, tmp_path, lives=lives, age=age)
    before = stored(tokens.files)
    found = tokens.token().reveal()
    after = stored(tokens.files)
    assert (fake.vendor.renewals, found != before.access_token) == (int(is_renewed), is_renewed)
    assert found == after.access_token
    assert after.ends_at is not None
    assert (after.ends_at - time.time() > 59 * DAY) == is_renewed


def test_many_that_need_a_new_token_at_once_ask_for_it_once(fake: InstagramFake, tmp_path: Path) -> None:
    tokens = tokens_of(fake, tmp_path, lives=5 * DAY)
    with ThreadPoolExecutor(8) as pool:
        found = {token.reveal() for token in pool.map(lambda _: tokens.token(), range(8))}
    assert (len(found), fake.vendor.renewals) == (1, 1)


def test_a_new_token_is_stored_before_it_is_used(
    fake: InstagramFake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = tokens_of(fake, tmp_path, lives=5 * DAY)
    path = tokens.files.path("instagram", "default")
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ServiceError, match="cannot be written: No space left on device") as caught:
        tokens.token()
    assert caught.value.kind == "busy"
    assert path.read_bytes() == before


def test_a_token_that_cannot_be_renewed_is_used_while_it_lives_and_asked_for_once_an_hour(
    fake: InstagramFake, tmp_path: Path
) -> None:
    tokens = tokens_of(fake, tmp_path, lives=5 * DAY)
    before = tokens.account().access_token
    fake.vendor.refusals["access_token"] = []
    exchanges = []
    original = fake.vendor._exchange

    def down(query: dict[str, str]) -> dict[str, object]:
        exchanges.append(query)
        raise RefusalError(2, None, "Service temporarily unavailable", status=503)

    fake.vendor._exchange = down  # type: ignore[method-assign]
    assert tokens.token().reveal() == tokens.token().reveal() == before
    assert len(exchanges) == 3, "one call with its retries"
    fake.vendor._exchange = original  # type: ignore[method-assign]
    later = MetaTokens(
        files=tokens.files, name="default", graph=tokens.graph, clock=lambda: time.time() + 3601
    )
    assert later.token().reveal() != before


def test_a_token_that_has_ended_or_is_refused_must_be_connected_again(
    fake: InstagramFake, tmp_path: Path
) -> None:
    tokens = tokens_of(fake, tmp_path, lives=30 * DAY)
    token = tokens.token()
    words = "access has ended; connect it again by `video-pipeline accounts add instagram default`"
    with pytest.raises(ServiceError, match=words) as caught:
        tokens.token(refused=token)
    assert caught.value.kind == "denied"
    ended = MetaTokens(
        files=tokens.files, name="default", graph=tokens.graph, clock=lambda: time.time() + 31 * DAY
    )
    fake.vendor.ahead = 31 * DAY
    with pytest.raises(ServiceError, match=words):
        ended.token()
    account = stored(tokens.files)
    fake.vendor.ahead = 0
    newer = account.model_copy(update={"access_token": fake.vendor.new_token()})
    tokens.files.save("instagram", "default", newer)
    assert tokens.token(refused=token).reveal() == newer.access_token


def connect(fake: InstagramFake, token: str, user: str | None = None) -> MetaAccount:
    graph = GraphCalls(base=f"{fake.url}/v26.0", timeout=FAST_SECONDS, policy=RetryPolicy(attempts=1))
    return connect_by_token(
        graph,
        app_id=APP_ID,
        app_secret=Secret(APP_SECRET, "a test"),
        token=Secret(token, "a test"),
        username=user,
        now=time.time(),
    )


def test_a_short_token_becomes_a_long_one_and_one_without_an_end_stays(fake: InstagramFake) -> None:
    short = fake.vendor.new_token(lives=3600)
    account = connect(fake, short)
    assert account.access_token != short
    assert account.ends_at is not None
    assert account.ends_at - time.time() > 59 * DAY
    endless = fake.vendor.new_token(lives=float("inf"))
    account = connect(fake, endless)
    assert (account.access_token, account.ends_at, account.user_id) == (endless, None, USER_ID)
    assert "until it is revoked" in account.end_words


def test_a_token_that_does_not_lead_to_one_account_that_may_publish_is_refused(fake: InstagramFake) -> None:
    token = fake.vendor.new_token()
    fake.vendor.accounts["second"] = "17841400000000002"
    with pytest.raises(
        InputError, match=r"--user: the token leads to several accounts; give one of light.*, second"
    ):
        connect(fake, token)
    with pytest.raises(InputError, match="--user: got 'third'; allowed: lighthouse_stories, second"):
        connect(fake, token, "third")
    assert connect(fake, token, "@second").user_id == "17841400000000002"
    fake.vendor.accounts.clear()
    with pytest.raises(InputError, match="leads to no professional account on Instagram"):
        connect(fake, token)
    few = fake.vendor.new_token(scopes=["instagram_basic", "pages_show_list"])
    with pytest.raises(ServiceError, match="does not allow instagram_content_publish, pages_read_engagement"):
        connect(fake, few)
    with pytest.raises(ServiceError, match="the token is not valid, or is of another app") as caught:
        connect(fake, "EAABnothing")
    assert "EAABnothing" not in str(caught.value)


def node_file(fake: InstagramFake, folder: Path) -> Path:
    settings = {
        "node": {"state_path": str(folder / "state")},
        "publishing": {
            "accounts": {"instagram": {"studio": {"endpoint": fake.url}, "two": {"endpoint": fake.url}}}
        },
    }
    file = folder / "node.yaml"
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    return file


def test_an_account_is_connected_from_files_checked_listed_and_removed(
    fake: InstagramFake, tmp_path: Path
) -> None:
    config = ("--config", node_file(fake, tmp_path))
    fake.vendor.lives = 6 * DAY
    token = fake.vendor.new_token(lives=3600)
    (tmp_path / "secret").write_text(APP_SECRET)
    (tmp_path / "token").write_text(token)
    given = ("--app-id", APP_ID, "--secret-file", tmp_path / "secret", "--token-file", tmp_path / "token")
    done = [run("accounts", "add", "instagram", name, *given, *config) for name in ("studio", "two")]
    assert [each.returncode for each in done] == [0, 0], done[0].stderr
    assert done[0].stdout.startswith("instagram/studio  is connected: lighthouse_stories; connected until 2")
    file = tmp_path / "state" / "accounts" / "instagram" / "studio.json"
    assert file.stat().st_mode & 0o777 == 0o600
    fake.vendor.uses = [time.time()] * 2
    for verb in (("check", "instagram", "studio"), ("list",), ("list", "instagram", "--json")):
        done.append(run("accounts", *verb, *config))
        assert done[-1].returncode == 0, done[-1].stderr
    assert (
        "works: lighthouse_stories; 2 of 50 posts in 24 hours are used; connected until 2" in done[2].stdout
    )
    assert "connect it again soon" in done[3].stdout
    done.append(run("accounts", "check", "instagram", "studio", "--json", *config))
    assert (
        '"quota": {"used": 2, "limit": 50, "what": "posts in 24 hours", "resets_at": null}' in done[-1].stdout
    )
    done.append(run("accounts", "remove", "instagram", "two", *config))
    assert "account studio has the same access" in done[-1].stdout
    assert fake.vendor.tokens
    done.append(run("accounts", "remove", "instagram", "studio", *config))
    assert done[-1].stdout == "instagram/studio  is removed\n"
    assert not fake.vendor.tokens
    assert not file.exists()
    for each in done:
        assert "EAAB" not in each.stdout + each.stderr
        assert APP_SECRET not in each.stdout + each.stderr
    assert fake.problems == []


def test_what_is_missing_to_connect_an_account_is_named(fake: InstagramFake, tmp_path: Path) -> None:
    config = ("--config", node_file(fake, tmp_path))
    done = run("accounts", "add", "instagram", "studio", *config)
    assert "--app-id: is needed to connect an account of instagram" in done.stderr
    done = run("accounts", "add", "instagram", "studio", "--app-id", APP_ID, *config, input="")
    assert "--secret-file: is needed: there is no terminal to type the app's secret" in done.stderr
    done = run("accounts", "add", "youtube", "studio", *config)
    assert "--client: is needed to connect an account of youtube" in done.stderr


def test_secrets_that_a_person_types_are_not_echoed(fake: InstagramFake, tmp_path: Path) -> None:
    token = fake.vendor.new_token(lives=3600)
    command = ["accounts", "add", "instagram", "--app-id", APP_ID, "--config", str(node_file(fake, tmp_path))]
    node = tmp_path / "node.yaml"
    node.write_text(node.read_text().replace("studio", "default"))
    controller, terminal = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "video_pipeline", *command],
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as program:
            os.close(terminal)
            assert program.stderr is not None
            told = b""
            for answer, question in ((APP_SECRET, b"the app's secret: "), (token, b"access token: ")):
                while question not in told:
                    told += program.stderr.read1(1)  # type: ignore[attr-defined]
                os.write(controller, f"{answer}\n".encode())
            output, errors = program.communicate(timeout=4 * FAST_SECONDS)
        assert program.returncode == 0, errors
        os.set_blocking(controller, False)
        try:
            echoed = os.read(controller, 65_536)
        except (BlockingIOError, OSError):
            echoed = b""
    finally:
        os.close(controller)
    assert output.startswith(b"instagram/default  is connected")
    for secret in (APP_SECRET.encode(), token.encode(), b"EAAB"):
        assert secret not in told + output + errors + echoed
