"""Backups of a node that works, restored elsewhere: no acknowledged job is lost, and nothing is half restored."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import signal
import sqlite3
import tarfile
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engine.publish.test_carry_on import a_post
from tests.support.audit import processes_of
from tests.support.command import run
from tests.support.disks import small_disk
from tests.support.jobs import NodeProcess, job_of, node_config, node_process, submit, tiny_story
from tests.support.kill_points import kill_points, killed_before_line
from tests.support.process_state import stop
from tests.support.samples import picture
from tests.support.waiting import wait_until
from video_pipeline import NodeClient
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.backup import BackupError, make_backup, restore_backup
from video_pipeline.engine.notify.outbox import OUTBOX_FILE, Outbox
from video_pipeline.engine.publish.records import RECORDS_FILE, Publications, publications_path
from video_pipeline.engine.publish.states import PublicationState
from video_pipeline.engine.storage.local import check_whole

MODULE = "video_pipeline.engine.jobs.node.backup"


def elsewhere(config: Config, folder: Path) -> Config:
    """Return a configuration with another state folder and the same output folder."""
    return config.override("node", state_path=folder)


def a_state(folder: Path) -> Config:
    """Make a state folder with two jobs, an inline asset, a key and an account."""
    config = node_config(folder)
    folders = Folders.of(config)
    folders.make()
    name = f"{'a' * 64}.png"
    (folders.inbox / name).write_bytes(picture())
    (folders.inbox / f"{'b' * 64}.png").write_bytes(b"of no job")
    with Ledger(folders.ledger) as ledger:
        submit(ledger, tiny_story("one"))
        story = tiny_story("two")
        story["scenes"][0]["image"] = f"inbox:{name}"
        submit(ledger, story)
    for secret in ("keys/node.key", "accounts/youtube/default.json"):
        path = folders.state / secret
        path.parent.mkdir(parents=True)
        path.write_text("secret")
    return config


def worker_of(node: NodeProcess) -> int:
    """Return the only worker of a node that is ready."""
    commands = processes_of(Folders.of(node.config).state)
    (found,) = [pid for pid, command in commands.items() if "jobs.dispatch.worker" in command]
    return found


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm")) and path.suffix != ".sqlite3"
    }


def test_a_node_that_works_is_backed_up_and_restored_without_losing_an_acknowledged_job(
    tmp_path: Path, session_cache: Path
) -> None:
    seed = random.randrange(1000)
    print(f"seed {seed}")
    pause = random.Random(seed)
    share = tmp_path / "share"
    share.mkdir()
    accounts = {"accounts": {"folder": {"default": {"path": str(share)}}}}
    backups, acknowledged = [], []
    own = {"lease": 600.0}  # the worker is stopped for a while
    with node_process(tmp_path, cache=session_cache, publishing=accounts, node=own) as node:
        node.wait_until_ready()
        worker = worker_of(node)
        with NodeClient(f"ipc://{tmp_path}/node.sock") as client:
            for number in range(8):
                story = {**tiny_story(f"job{number}", seconds=8), "publish": [{"platform": "folder"}]}
                story["scenes"][0]["image"] = str(image := tmp_path / f"image{number}.png")
                image.write_bytes(picture(colour=(number * 30, 90, 90)))
                time.sleep(pause.uniform(0, 0.6) if number % 2 == 0 else 0)
                if number == 6:
                    stop(worker)  # the last two jobs wait while the last backup is made
                acknowledged.append(client.submit(story, send_assets=True).job_id)
                if number % 2:
                    target = tmp_path / f"backup{number}.tar.gz"
                    done = run("backup", target, "--config", tmp_path / "node.yaml", "--json")
                    assert done.returncode == 0, done.stderr
                    assert target.stat().st_mode & 0o077 == 0
                    backups.append((target, list(acknowledged)))
            os.kill(worker, signal.SIGCONT)
            for job_id in acknowledged:
                assert client.wait(job_id, 60).status == "completed"
        node.kill()
    assert not list(Folders.of(node.config).state.glob(".backup-*"))
    for target, known in backups:
        config = elsewhere(node.config, tmp_path / target.stem)
        restored = restore_backup(config, target)
        assert sum(restored.jobs.values()) == len(known)
        with Ledger(Folders.of(config).ledger) as ledger:
            assert {job.job_id for job in ledger.jobs.page()} == set(known)
            completed = {job.job_id for job in ledger.jobs.page(status="completed")}  # type: ignore[arg-type]
        with closing(Publications(publications_path(config))) as records:
            assert completed <= {each.job_id for each in records.listed()}, "every finished job has its post"
    target, known = backups[-1]
    state = tmp_path / target.stem
    with Ledger(state / "ledger.sqlite3") as ledger:
        pending = [job.job_id for job in ledger.jobs.page() if not job.status.is_terminal]
    assert len(pending) >= 2, "the backup was made while jobs waited"
    output = node.config.storage.output_path
    shutil.rmtree(output / pending[0])  # this video is lost too, and rendered again; the others are found
    settings = {"state_path": str(state)}
    with node_process(tmp_path, cache=session_cache, publishing=accounts, node=settings) as again:
        with again.ledger() as ledger:
            for job_id in pending:
                wait_until(lambda job_id=job_id: job_of(ledger, job_id).status.is_terminal, what=job_id)
                assert job_of(ledger, job_id).status == "completed", job_of(ledger, job_id)
        for job_id in known:
            check_whole(output / job_id)


def test_a_backup_has_what_a_node_needs_and_comes_back_as_it_was(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    made = make_backup(config, tmp_path / "b.tar.gz")
    assert made.jobs["queued"] == 2
    with tarfile.open(tmp_path / "b.tar.gz") as archive:
        assert {member.name for member in archive} == {
            *("backup.json", "ledger.sqlite3", f"inbox/{'a' * 64}.png"),
            *("keys/node.key", "accounts/youtube/default.json"),
        }
    target = elsewhere(config, tmp_path / "other")
    restored = restore_backup(target, tmp_path / "b.tar.gz")
    assert (restored.jobs, restored.files, restored.size) == (made.jobs, made.files, made.size)
    before = contents(config.state_dir())
    del before[f"inbox/{'b' * 64}.png"]
    assert contents(target.state_dir()) == before
    assert target.state_dir().stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(target.state_dir() / "ledger.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_a_state_folder_may_be_named_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_state(tmp_path)
    Outbox(config.state_dir() / OUTBOX_FILE).close()
    Publications(publications_path(config)).close()
    monkeypatch.chdir(tmp_path)
    relative = elsewhere(config, config.state_dir().relative_to(tmp_path))
    make_backup(relative, Path("b.tar.gz"))
    restore_backup(elsewhere(config, Path("other")), Path("b.tar.gz"))
    assert {OUTBOX_FILE, RECORDS_FILE, "ledger.sqlite3"} <= {path.name for path in Path("other").iterdir()}


def test_posts_that_may_have_been_published_since_are_for_a_person_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    config = a_state(tmp_path)
    records = Publications(publications_path(config))
    for number, (platform, due_in) in enumerate(
        (("webhook", None), ("webhook", 1.0), ("webhook", 1e6), ("folder", None), ("youtube", None))
    ):
        due_at = None if due_in is None else time.time() + due_in
        post = a_post(tmp_path, b"%d" % number)
        records.add(post, platform=platform, account="default", due_at=due_at)
    records.move(records.get(5), PublicationState.FAILED, error="refused")
    records.close()
    make_backup(config, tmp_path / "b.tar.gz")
    time.sleep(1.1)
    target = elsewhere(config, tmp_path / "other")
    assert restore_backup(target, tmp_path / "b.tar.gz").unknown == 2
    records = Publications(publications_path(target))
    states = {each.number: each.state for each in records.listed()}
    records.close()
    assert states == {1: "unknown", 2: "unknown", 3: "scheduled", 4: "prepared", 5: "failed"}


def changed(archive: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write an archive with other members."""
    with tarfile.open(archive) as source:
        members = {member.name: source.extractfile(member).read() for member in source}  # type: ignore[union-attr]
    change(members)
    target = archive.with_name("changed.tar.gz")
    with tarfile.open(target, "w:gz") as written:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            written.addfile(member, io.BytesIO(data))
    return target


def escape(members: dict[str, bytes]) -> None:
    index = json.loads(members["backup.json"])
    index["files"]["../outside"] = index["files"]["keys/node.key"]
    members["backup.json"] = json.dumps(index).encode()
    members["../outside"] = members["keys/node.key"]


def newer(members: dict[str, bytes]) -> None:
    members["backup.json"] = members["backup.json"].replace(b'"format": 1', b'"format": 2')


CHANGES: dict[str, tuple[Callable[[dict[str, bytes]], Any], str]] = {
    "another byte": (lambda m: m.update({"keys/node.key": b"SECRET"}), "keys/node.key is not what"),
    "a member more": (lambda m: m.update({"keys/more": b"x"}), "should not have: 'keys/more'"),
    "a member less": (lambda m: m.pop("ledger.sqlite3"), "it lacks ledger.sqlite3"),
    "a path outside": (escape, "should not have: '../outside'"),
    "a newer format": (newer, "format: got 2; this version reads 1"),
    "no index": (lambda m: m.pop("backup.json"), "its first member is not backup.json"),
    "a broken index": (lambda m: m.update({"backup.json": b"{"}), "backup.json is damaged"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_an_archive_that_was_changed_is_refused_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    config = a_state(tmp_path)
    make_backup(config, tmp_path / "b.tar.gz")
    change, words = CHANGES[name]
    place = tmp_path / "place"
    place.mkdir()
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        restore_backup(elsewhere(config, place / "other"), changed(tmp_path / "b.tar.gz", change))
    assert list(place.iterdir()) == []
    assert not (tmp_path / "outside").exists()


def test_a_file_that_was_cut_anywhere_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    make_backup(config, tmp_path / "b.tar.gz")
    whole = (tmp_path / "b.tar.gz").read_bytes()
    place = tmp_path / "place"
    place.mkdir()
    for length in {0, 1, 10, len(whole) // 3, len(whole) // 2, len(whole) * 9 // 10}:
        (tmp_path / "cut.tar.gz").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"damaged|no backup|lacks"):
            restore_backup(elsewhere(config, place / "other"), tmp_path / "cut.tar.gz")
        assert list(place.iterdir()) == [], length


def test_wrong_places_are_named(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    make_backup(config, tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match=r"node\.state_path: .* is not empty; move it away"):
        restore_backup(config, tmp_path / "b.tar.gz")
    with pytest.raises(InputError, match="there is no such file"):
        restore_backup(elsewhere(config, tmp_path / "other"), tmp_path / "nothing.tar.gz")
    with pytest.raises(InputError, match="is a folder; name a file"):
        make_backup(config, tmp_path)
    with pytest.raises(InputError, match="has no ledger; name the node's configuration"):
        make_backup(elsewhere(config, tmp_path / "other"), tmp_path / "c.tar.gz")
    with pytest.raises(InputError, match="is a folder; name the file that `backup` wrote"):
        restore_backup(elsewhere(config, tmp_path / "other"), tmp_path)


@pytest.mark.parametrize("name", ["b.tar.gz", "keys/b.tar.gz", "ledger.sqlite3", "link/b.tar.gz"])
def test_a_backup_is_not_written_into_what_it_backs_up(tmp_path: Path, name: str) -> None:
    config = a_state(tmp_path)
    state = Folders.of(config).state
    (tmp_path / "link").symlink_to(state)
    target = tmp_path / name if name.startswith("link") else state / name
    before = contents(state)
    with pytest.raises(InputError, match="which it backs up; name a file elsewhere"):
        make_backup(config, target)
    assert contents(state) == before
    with Ledger(Folders.of(config).ledger) as ledger:
        assert len(ledger.jobs.page()) == 2


def test_a_folder_of_keys_elsewhere_takes_no_backup_and_is_said_to_be_missing_after_a_restore(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = a_state(tmp_path).override("node", keys_path=tmp_path / "keys")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "node.key").write_text("secret")
    with pytest.raises(InputError, match="which it backs up"):
        make_backup(config, tmp_path / "keys" / "b.tar.gz")
    make_backup(config, tmp_path / "b.tar.gz")
    other = elsewhere(config, tmp_path / "other").override("node", keys_path=tmp_path / "absent")
    restore_backup(other, tmp_path / "b.tar.gz")
    assert f"{tmp_path}/absent is not there; the backup's keys are in {tmp_path}/other/keys" in caplog.text
    assert (tmp_path / "other" / "keys" / "node.key").read_text() == "secret"


@pytest.mark.parametrize("name", ["link", "pipe", "byte"])
def test_a_file_among_the_keys_that_cannot_be_restored_is_named_when_it_is_backed_up(
    tmp_path: Path, name: str
) -> None:
    config = a_state(tmp_path)
    keys = Folders.of(config).state / "keys"
    if name == "link":
        (keys / name).symlink_to(tmp_path / "nothing")
    elif name == "pipe":
        os.mkfifo(keys / name)
    else:
        (keys / f"{name}\udcff").write_text("secret")
    with pytest.raises(BackupError, match=rf"keys/{name}: cannot be read|not UTF-8: '{name}.udcff'"):
        make_backup(config, tmp_path / "b.tar.gz")
    assert not (tmp_path / "b.tar.gz").exists()


def test_a_place_where_a_disk_is_mounted_is_named(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    make_backup(config, tmp_path / "b.tar.gz")
    with small_disk(tmp_path / "disk", megabytes=4) as disk:
        with pytest.raises(InputError, match="a mounted disk, which the restored folder cannot replace"):
            restore_backup(elsewhere(config, disk), tmp_path / "b.tar.gz")
        restore_backup(elsewhere(config, disk / "state"), tmp_path / "b.tar.gz")


def _unpacked(data: bytes) -> bytes | None:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None


def test_an_archive_with_any_byte_changed_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    (Folders.of(config).state / "keys" / "many").write_bytes(random.Random(1).randbytes(100_000))
    make_backup(config, tmp_path / "b.tar.gz")
    whole = (tmp_path / "b.tar.gz").read_bytes()
    whole_tar = _unpacked(whole)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    place = tmp_path / "place"
    place.mkdir()
    tail = len(whole) - 200  # what ends the tar archive, and gzip's checksum
    for place_of in [chance.randrange(20, len(whole)) for _ in range(60)] + [*range(tail, len(whole), 3)]:
        broken = bytearray(whole)
        broken[place_of] ^= 1 << chance.randrange(8)
        if _unpacked(bytes(broken)) == whole_tar:  # one of up to seven bits that fill Deflate's last byte
            continue
        (tmp_path / "x.tar.gz").write_bytes(broken)
        with pytest.raises(InputError):
            restore_backup(elsewhere(config, place / "other"), tmp_path / "x.tar.gz")
        assert list(place.iterdir()) == []
    raw = gzip.decompress(whole)
    head = gzip.compress(raw[: len(raw) // 2])
    reserved = gzip.compress(b"")[:10] + b"\x07"  # a kind of block that Deflate has not: zlib's own error
    (tmp_path / "x.tar.gz").write_bytes(head + reserved)
    with pytest.raises(InputError, match="is damaged or no backup"):
        restore_backup(elsewhere(config, place / "other"), tmp_path / "x.tar.gz")


def test_a_restore_killed_before_any_line_leaves_a_whole_folder_or_none(tmp_path: Path) -> None:
    config = a_state(tmp_path)
    make_backup(config, tmp_path / "b.tar.gz")
    point, stride = kill_points(7)
    whole = 0
    while True:
        place = tmp_path / f"at{point}"
        place.mkdir()
        target = elsewhere(config, place / "state")
        was_killed = killed_before_line(
            point, lambda target=target: restore_backup(target, tmp_path / "b.tar.gz"), modules=MODULE
        )
        if target.state_dir().exists():
            whole += 1
            assert contents(target.state_dir())["keys/node.key"] == b"secret"
            with Ledger(Folders.of(target).ledger) as ledger:
                assert ledger.queue.length() == 2
        else:
            restore_backup(target, tmp_path / "b.tar.gz")
        if not was_killed:
            break
        point += stride
    assert point > 60
    assert whole >= 1
