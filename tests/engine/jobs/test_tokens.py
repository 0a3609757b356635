"""Tokens: shown once, kept as a digest, removed at once; and that none but the HTTP process acts for users."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.support.ledgers import submit
from tests.support.server import STORY, RunningServer, Speaker, node_config
from video_pipeline.engine.cli.main import main
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.acting import ACTING, ActingCheck, acting_frames
from video_pipeline.engine.jobs.curve import WEB_CLIENT
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.tokens import (
    TOKEN_PATTERN,
    TokenList,
    make_token,
    remove_token,
    remove_tokens_of,
    stored_tokens,
)


def test_only_the_digest_of_a_token_is_kept_and_only_for_its_owner_to_read(tmp_path: Path) -> None:
    made = make_token(tmp_path, "studio")
    assert TOKEN_PATTERN.fullmatch(made.text)
    assert made.text not in repr(made)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [made.path]
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700
    assert made.text.rpartition("_")[2] not in made.path.read_text()


def test_a_user_has_several_tokens_and_each_is_removed_alone_or_all_at_once(tmp_path: Path) -> None:
    tokens = TokenList(tmp_path)
    first, second, other = (make_token(tmp_path, name) for name in ("studio", "studio", "other"))
    assert tokens.reload()
    assert [tokens.user_of(each.text) for each in (first, second, other)] == ["studio", "studio", "other"]
    remove_token(tmp_path, first.token_id)
    assert tokens.reload()
    assert [tokens.user_of(each.text) for each in (first, second)] == [None, "studio"]
    assert remove_tokens_of(tmp_path, "studio") == [second.token_id]
    assert tokens.reload()
    assert not tokens.reload()
    assert [tokens.user_of(each.text) for each in (second, other)] == [None, "other"]


@pytest.mark.parametrize("name", ["", "../x", "local", "node", "node/web", "a b", "x" * 65])
def test_a_user_s_name_is_checked(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="client name: got"):
        make_token(tmp_path, name)


def test_a_damaged_file_is_named_and_gives_no_access(tmp_path: Path) -> None:
    made = make_token(tmp_path, "studio")
    folder = made.path.parent
    kept = json.loads(made.path.read_text())
    (folder / "00000001.json").write_text("{")
    (folder / "00000002.json").write_text(json.dumps({**kept, "name": "local"}))
    (folder / "00000003.json").write_text(json.dumps({**kept, "name": "../x"}))
    (folder / "other.json").write_text(made.path.read_text())
    found, faults = stored_tokens(tmp_path)
    assert list(found) == [made.token_id]
    assert len(faults) == 4
    assert TokenList(tmp_path).user_of(made.text) == "studio"


def test_an_error_never_repeats_a_token_that_is_given_for_its_id(tmp_path: Path) -> None:
    made = make_token(tmp_path, "studio")
    with pytest.raises(InputError) as wrong:
        remove_token(tmp_path, made.text)
    assert made.text.partition(f"{made.token_id}_")[2] not in str(wrong.value)
    assert made.token_id in str(wrong.value)


def test_the_commands_make_list_and_revoke_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = tmp_path / "state"
    config = tmp_path / "node.yaml"
    config.write_text(json.dumps({"video_pipeline": {"node": {"state_path": str(state)}}}))

    def run(*words: str, status: int = 0) -> dict[str, object]:
        assert main(["keys", *words, "--config", str(config), "--json"]) == status
        out = capsys.readouterr().out
        return dict(json.loads(out)) if not status else {}

    first, second = run("token", "studio"), run("token", "studio")
    assert first["token"] != second["token"]
    listed = run("list")
    assert str(first["token"]) not in json.dumps(listed)
    assert {each["token_id"] for each in listed["tokens"]} == {first["token_id"], second["token_id"]}  # type: ignore[attr-defined]
    assert run("revoke-token", str(first["token_id"]))["name"] == "studio"
    assert run("revoke", "studio")["tokens"] == [second["token_id"]]
    run("revoke", "studio", status=2)
    assert run("list")["tokens"] == []
    assert main(["keys", "token", "studio", "--config", str(config)]) == 0
    assert capsys.readouterr().out.startswith("vpt_")


def test_a_new_user_does_not_get_the_jobs_of_an_earlier_one_and_a_second_token_keeps_them(
    tmp_path: Path,
) -> None:
    config = tmp_path / "node.yaml"
    values = node_config(tmp_path)
    config.write_text(json.dumps({"video_pipeline": {"node": {"state_path": str(values.state_dir())}}}))
    folders = Folders.of(values)
    folders.make()

    def owner() -> str:
        with Ledger(folders.ledger) as ledger:
            job = ledger.jobs.get(job_id)
            assert job is not None
            return job.owner

    with Ledger(folders.ledger) as ledger:
        job_id = submit(ledger, owner="studio")
    main(["keys", "token", "studio", "--config", str(config)])
    assert owner().startswith("studio~")
    with Ledger(folders.ledger) as ledger:
        job_id = submit(ledger, owner="studio")
    for verb in ("token", "client"):
        main(["keys", verb, "studio", "--config", str(config)])
        assert owner() == "studio"


def test_only_the_secret_acts_for_a_user() -> None:
    check = ActingCheck("s3cret")
    frames = acting_frames("s3cret", "studio", [b"VP1J", b"1", b"ping", b"{}"])
    assert check.user_and_frames("local", frames, curve=False) == ("studio", frames[3:])
    assert check.user_and_frames(WEB_CLIENT, frames, curve=True) == ("studio", frames[3:])
    for sender, curve in (("studio", True), ("local", True), (WEB_CLIENT, False)):
        assert check.user_and_frames(sender, frames, curve=curve) == (sender, frames)
    for wrong in (
        acting_frames("other", "studio", frames[3:]),
        acting_frames("s3cret", "../x", frames[3:]),
        acting_frames("s3cret", "", frames[3:]),
        frames[:2],
        [],
    ):
        assert check.user_and_frames("local", wrong, curve=False) == ("local", wrong)
    assert ActingCheck(None).user_and_frames("local", frames, curve=False) == ("local", frames)
    assert "s3cret" not in repr(check)


def test_a_server_without_an_http_process_lets_nobody_act_for_others(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path)) as server, Speaker(server.requests) as speaker:
        body = speaker.pack({"story": STORY})
        for secret in ("", "None", "x"):
            speaker.socket.send_multipart(acting_frames(secret, "studio", [b"VP1J", b"1", b"submit", body]))
            _, outcome, error = speaker.receive()
            assert (outcome, error["code"]) == (b"error", "BAD_REQUEST")
            assert ACTING.decode() in error["message"]
        assert speaker.ask("list")["jobs"] == []
