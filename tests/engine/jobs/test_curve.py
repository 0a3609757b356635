"""Keys: made, checked, accepted and revoked, and the jobs that each may see."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zmq
import zmq.auth

from tests.support.ledgers import submit
from tests.support.server import STORY, RunningServer, Speaker, node_config
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.cli.main import main
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError, InputError, NodeError
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.curve import (
    CLIENT_NAME,
    NODE_CLIENT,
    AllowList,
    client_names,
    keys_dir,
    make_client_key,
    make_node_key,
    read_key,
    revoke_client,
)
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger


def test_key_files_are_private_and_in_the_format_of_zmq_auth(tmp_path: Path) -> None:
    node = make_node_key(tmp_path / "keys")
    client = make_client_key(tmp_path / "keys", "studio", into=tmp_path / "out")
    for path in (node, node.with_suffix(".key_secret"), client, tmp_path / "keys/clients/studio.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        public, secret = zmq.auth.load_certificate(path)
        mine = read_key(path, secret=path.suffix == ".key_secret")
        assert (mine.public, mine.secret) == (public, secret)
    for folder in ("keys", "keys/clients", "out"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    make_node_key(tmp_path)
    make_client_key(tmp_path, "studio")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.key*")}
    with pytest.raises(InputError, match="has a key"):
        make_node_key(tmp_path)
    with pytest.raises(InputError, match="revoke it first"):
        make_client_key(tmp_path, "studio")
    revoke_client(tmp_path, "studio")
    with pytest.raises(InputError, match="exists already"):
        make_client_key(tmp_path, "studio")
    assert {path.read_bytes() for path in tmp_path.rglob("*.key*")} == set(before.values())


@pytest.mark.parametrize("name", ["", "../x", "a/b", "local", "node", ".hidden", "x" * 65, "a b", "a\nb"])
def test_a_client_s_name_is_checked(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"client name: got .*; allowed: "):
        make_client_key(tmp_path, name)
    assert not list(tmp_path.rglob("*.key*"))


WRONG_FILES: dict[str, tuple[str, str]] = {
    "empty": ("", "has no public-key"),
    "short": ('public-key = "abc"', "has 3 characters; allowed: 40"),
    "not Z85": (f'public-key = "{"~" * 40}"', "allowed: 40 characters of Z85"),
    "no secret": (f'public-key = "{"0" * 40}"', "has no secret-key"),
    "not a pair": (f'public-key = "{"0" * 40}"\nsecret-key = "{"1" * 40}"', "do not belong together"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_wrong_key_file_is_named(tmp_path: Path, name: str) -> None:
    text, words = WRONG_FILES[name]
    path = tmp_path / "node.key_secret"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=words) as caught:
        read_key(path, secret=True)
    assert str(path) in str(caught.value)
    assert "1111" not in str(caught.value)


def test_a_secret_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = make_node_key(tmp_path).with_suffix(".key_secret")
    secret.chmod(0o640)
    with pytest.raises(ConfigError, match=r"got mode 0640; allowed: 0600"):
        read_key(secret, secret=True)


def test_the_allow_list_follows_its_folder_and_reports_faulty_keys(tmp_path: Path) -> None:
    make_client_key(tmp_path, "a")
    make_client_key(tmp_path, "b")
    allowed = AllowList(tmp_path)
    assert sorted(allowed.names.values()) == ["a", "b"]
    assert allowed.reload() == set()
    revoke_client(tmp_path, "a")
    assert allowed.reload() == {"a"}
    assert list(allowed.names.values()) == ["b"]
    (tmp_path / "clients/c.key").write_text("nothing")
    (tmp_path / "clients/d.key").write_bytes((tmp_path / "clients/b.key").read_bytes())
    assert allowed.reload() == set()
    assert [fault.partition(": ")[0].rpartition("/")[2] for fault in allowed.faults] == ["c.key", "d.key"]
    assert client_names(tmp_path) == ["b", "c", "d"]
    secret = make_client_key(tmp_path, "e")
    replacement = zmq.auth.load_certificate(secret)[0].decode()
    (tmp_path / "clients/b.key").write_text(f'public-key = "{replacement}"')
    assert "b" in allowed.reload()  # another key under the same name: who had the old one is out


def test_a_client_that_has_access_always_needs_no_file(tmp_path: Path) -> None:
    key = zmq.curve_keypair()[0]
    allowed = AllowList(tmp_path, always={key: NODE_CLIENT})
    make_client_key(tmp_path, "a")
    assert allowed.reload() == set()
    assert sorted(allowed.names.values()) == ["a", NODE_CLIENT]
    assert allowed.faults == []
    assert not CLIENT_NAME.fullmatch(NODE_CLIENT)


def test_the_commands_make_list_and_revoke(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    def run(*arguments: str) -> dict[str, Any]:
        assert main(["keys", *arguments, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    made = run("node")
    assert len(made["public_key"]) == 40
    assert run("node") == made  # the first start of a node makes it too
    assert Path(run("client", "studio")["secret_key"]).exists()
    folder = tmp_path / "video-pipeline" / "keys" / "clients"
    assert run("list") == {"folder": str(folder), "clients": ["studio"], "tokens": [], "faults": []}
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr().out == f"clients with a key in {folder}:\nstudio\n"
    assert Path(run("revoke", "studio")["revoked"]).exists()
    assert run("list")["clients"] == []
    assert main(["keys", "revoke", "studio"]) == 2
    assert "which is not a client of this node" in capsys.readouterr().err


def test_a_new_client_of_an_old_name_does_not_see_the_jobs_of_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folders = Folders.of(load_config(environ=False))
    folders.make()
    with Ledger(folders.ledger) as ledger:
        old = submit(ledger, "old", owner="studio")
        others = submit(ledger, "others", owner="bob")
        for verb in ("client", "revoke", "client"):
            (folders.state / "keys" / "issued" / "studio.key_secret").unlink(missing_ok=True)
            assert main(["keys", verb, "studio"]) == 0
        assert ledger.jobs.page(owner="studio") == ()
        assert ledger.jobs.get(old).owner.startswith("studio~")  # type: ignore[union-attr]
        assert ledger.events.page(after=0, limit=10, owner="studio") == ()
        assert [job.job_id for job in ledger.jobs.page(owner="bob")] == [others]
        assert sum(ledger.jobs.counts().values()) == 2
        assert sum(ledger.jobs.counts("studio").values()) == 0


def keys_of(secret: Path) -> tuple[bytes, bytes]:
    pair = read_key(secret, secret=True)
    assert pair.secret is not None
    return pair.public, pair.secret


def gets_no_reply(speaker: Speaker) -> bool:
    """Return whether a client gets no reply within a second, or has no connection to send by."""
    speaker.socket.sndtimeo = speaker.socket.rcvtimeo = 1000
    try:
        speaker.send("ping")
        speaker.receive()
    except zmq.Again:
        return True
    return False


def is_refused(running: RunningServer, **options: Any) -> bool:
    """Return whether a new client gets no reply."""
    with Speaker(running.requests, **options) as speaker:
        return gets_no_reply(speaker)


def test_only_allowed_clients_get_replies_and_see_only_their_own_jobs(tmp_path: Path) -> None:
    config = node_config(tmp_path, curve="on", operators=("boss",))
    keys = keys_dir(config)
    make_node_key(keys)
    pairs = {name: keys_of(make_client_key(keys, name)) for name in ("ann", "bob", "boss")}
    with RunningServer(config) as server:
        public = server.public_key

        def speaker(name: str) -> Speaker:
            return Speaker(server.requests, keys=pairs[name], server=public)

        with speaker("ann") as ann, speaker("bob") as bob, speaker("boss") as boss:
            assert [one.ask("ping")["user"] for one in (ann, bob, boss)] == ["ann", "bob", "boss"]
            job_id = ann.ask("submit", {"story": STORY, "key": "k"})["job_id"]
            for verb in ("status", "cancel", "retry", "wait", "events"):
                error = bob.refused(verb, {"job_id": job_id})
                assert error["code"] == "NOT_FOUND"
                unknown = bob.refused(verb, {"job_id": "job-" + "0" * 24})
                assert unknown["message"].replace("job-" + "0" * 24, job_id) == error["message"]
            assert bob.refused("list", {"before": job_id})["code"] == "NOT_FOUND"
            assert bob.ask("list")["jobs"] == []
            assert bob.ask("events")["events"] == []
            assert bob.ask("stats")["jobs"]["queued"] == 0
            assert bob.ask("submit", {"story": STORY, "key": "k"})["job_id"] != job_id
            assert len(boss.ask("list")["jobs"]) == 2
            assert ann.ask("status", {"job_id": job_id})["status"] == "queued"
            assert boss.ask("cancel", {"job_id": job_id})["status"] == "cancelled"

        stranger = zmq.curve_keypair()
        assert is_refused(server, keys=stranger, server=public)
        assert is_refused(server)  # no keys at all
        assert is_refused(server, keys=pairs["ann"], server=zmq.curve_keypair()[0])  # for another node
        wait_until(lambda: server.counters()["keys_refused"] >= 1, what="a count of refused keys")


def test_a_refused_client_that_many_threads_use_gets_the_reason_each_time(tmp_path: Path) -> None:
    """A request may be sent just when the connection of the one before is refused."""
    config = node_config(tmp_path, curve="on")
    make_node_key(keys_dir(config))
    stranger = make_client_key(tmp_path / "elsewhere", "eve", into=tmp_path / "eve")

    def ask(client: NodeClient) -> set[str]:
        reasons = set()
        for _ in range(1200):
            with pytest.raises(NodeError) as raised:
                client.ping()
            reasons.add(str(raised.value).partition(": ")[2])
        return reasons

    with RunningServer(config) as server, ThreadPoolExecutor(6) as pool:
        public = keys_dir(config) / "node.key"
        with NodeClient(server.requests, key_file=stranger, node_key=public, timeout=60) as client:
            found = set().union(*pool.map(ask, [client] * 6))
    assert found == {"the node does not know this client's key, or it was revoked"}


def test_a_revoked_client_is_disconnected_and_refused_without_a_restart(tmp_path: Path) -> None:
    config = node_config(tmp_path, curve="on")
    keys = keys_dir(config)
    ann, bob = (keys_of(make_client_key(keys, name)) for name in ("ann", "bob"))
    with RunningServer(config) as server:
        assert server.public_key == read_key(keys / "node.key").public.decode()  # it made its own
        with (
            Speaker(server.requests, keys=ann, server=server.public_key, timeout=FAST_SECONDS) as hers,
            Speaker(server.requests, keys=bob, server=server.public_key) as his,
        ):
            context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
            events = context.socket(zmq.SUB)
            events.linger = 0
            events.curve_publickey, events.curve_secretkey = ann
            events.curve_serverkey = (server.public_key or "").encode()
            events.connect(server.events)
            events.subscribe(b"")
            hers.ask("ping")
            # What is published before the server knows of the subscription is not received.
            wait_until(lambda: hers.ask("submit", {"story": STORY}) and events.poll(200), what="an event")
            revoke_client(keys, "ann")
            wait_until(lambda: server.counters().get("connections_ended", 0) >= 2, what="ended connections")
            while events.poll(200):
                events.recv_multipart()
            assert gets_no_reply(hers)
            his.ask("submit", {"story": STORY})
            assert not events.poll(500)
            assert is_refused(server, keys=ann, server=server.public_key)
            assert his.ask("ping")["user"] == "bob"
            context.destroy(0)
        new = keys_of(make_client_key(keys, "cid"))
        wait_until(lambda: not is_refused(server, keys=new, server=server.public_key), what="a new client")
        with Speaker(server.requests, keys=new, server=server.public_key) as hers:
            assert hers.ask("ping")["user"] == "cid"


def test_a_routing_id_chosen_by_the_client_is_refused_if_clients_have_keys(tmp_path: Path) -> None:
    config = node_config(tmp_path, curve="on")
    pair = keys_of(make_client_key(keys_dir(config), "ann"))
    with RunningServer(config) as server:
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        with context.socket(zmq.DEALER) as sock:
            sock.linger, sock.rcvtimeo = 0, int(FAST_SECONDS * 1000)
            sock.routing_id = b"bob"
            sock.curve_publickey, sock.curve_secretkey = pair
            sock.curve_serverkey = (server.public_key or "").encode()
            sock.connect(server.requests)
            sock.send_multipart([b"VP1J", b"1", b"ping", b"{}"])
            frames = sock.recv_multipart()
            assert frames[2] == b"error"
            assert json.loads(frames[3])["field"] == "routing id"
        context.destroy(0)


def test_curve_is_on_wherever_others_can_connect(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path, bind="tcp://*:*")) as server:
        assert server.public_key is not None
        assert is_refused(server)
        wait_until(lambda: any("created" in line for line in list(server.errors)), what="a warning")
    config = node_config(tmp_path / "b", bind="tcp://127.0.0.1:*", events_bind="tcp://0.0.0.0:*")
    with RunningServer(config) as server:
        assert server.public_key is not None


def test_curve_off_for_everybody_is_warned_of(tmp_path: Path) -> None:
    with RunningServer(node_config(tmp_path, bind="tcp://0.0.0.0:*", curve="off")) as server:
        with Speaker(server.requests.replace("0.0.0.0", "127.0.0.1")) as speaker:
            assert speaker.ask("ping")["user"] == "local"
        words = "node.curve is off: anyone who can reach"
        wait_until(lambda: any(words in line for line in list(server.errors)), what=words)


def test_a_broken_node_key_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    config = node_config(tmp_path, curve="on")
    make_node_key(keys_dir(config))
    secret = keys_dir(config) / "node.key_secret"
    secret.write_text("nothing")
    process = RunningServer(config)
    try:
        assert (
            process.wait_for("error")
            == f'{secret}: has no public-key; it needs a line public-key = "…" as zmq.auth writes it'
        )
        assert process.process.wait(FAST_SECONDS) == 2
    finally:
        process.stop()
    assert os.path.exists(secret)  # noqa: PTH110 - it is not replaced
