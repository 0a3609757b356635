"""The inbox of inline assets."""

from __future__ import annotations

import hashlib
import os
import resource
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.durability import disk_calls, open_descriptors
from tests.support.waiting import wait_until
from video_pipeline.engine.jobs.inputs.inbox import Inbox, InboxError, inbox_names, sweep_inbox


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_synced_part_is_complete(tmp_path: Path) -> None:
    box = Inbox(tmp_path / "inbox")
    reference = box.keep(b"abc", ".jpg")
    assert reference == f"inbox:{hashlib.sha256(b'abc').hexdigest()}.jpg"
    assert box.path(reference) is None
    box.sync()
    path = box.path(reference)
    assert path is not None
    assert path.read_bytes() == b"abc"
    assert names(box.folder) == [path.name]


def test_the_same_part_is_kept_once(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    first = box.keep(b"abc", ".jpg")
    assert box.keep(b"abc", ".jpg") == first
    box.sync()
    again = Inbox(tmp_path)
    assert again.keep(b"abc", ".jpg") == first
    again.sync()
    assert len(names(tmp_path)) == 1


def test_every_part_is_on_the_disk_before_any_has_its_name_and_the_folder_is_synced_after(
    tmp_path: Path,
) -> None:
    box = Inbox(tmp_path)
    with disk_calls(tmp_path) as calls:
        one, two = (box.keep(data, ".jpg").removeprefix("inbox:") for data in (b"abc", b"defg"))
        assert calls == []
        box.sync()
    assert calls == [
        "sync .partial-* 3",
        "sync .partial-* 4",
        f"rename .partial-* -> {one}",
        f"rename .partial-* -> {two}",
        "sync ./",
    ]


def test_a_part_that_is_here_already_is_not_written_again_but_its_name_is_made_to_last(
    tmp_path: Path,
) -> None:
    box = Inbox(tmp_path)
    box.keep(b"abc", ".jpg")
    box.sync()
    with disk_calls(tmp_path) as calls:
        box.sync()
        Inbox(tmp_path / "not there").sync()
        assert calls == [], "nothing was kept: there is nothing to sync"
        again = Inbox(tmp_path)  # the process that wrote it may have died before its sync of the folder
        again.keep(b"abc", ".jpg")
        again.sync()
    assert calls == ["sync ./"]


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    box.keep(b"first", ".jpg")
    box.sync()
    before = open_descriptors()
    for number in range(10):
        box.keep(bytes([number]), ".jpg")
        box.sync()
    assert open_descriptors() == before


def test_a_failed_sync_stores_nothing_and_the_next_one_starts_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    box = Inbox(tmp_path)
    reference = box.keep(b"abc", ".jpg")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(InboxError, match="cannot write inline assets: Input/output error"):
            box.sync()
    assert names(tmp_path) == []
    box.sync()
    assert box.path(reference) is None
    box.keep(b"abc", ".jpg")
    box.sync()
    assert box.path(reference) is not None


def test_two_inboxes_of_one_folder_have_private_files(tmp_path: Path) -> None:
    one, two = Inbox(tmp_path), Inbox(tmp_path)
    reference = one.keep(b"abc", ".jpg")
    assert two.keep(b"abc", ".jpg") == reference
    assert len(names(tmp_path)) == 2
    one.sync()
    two.sync()
    path = one.path(reference)
    assert path is not None
    assert path.read_bytes() == b"abc"
    assert names(tmp_path) == [path.name]


def test_discarded_files_leave_nothing(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    box.keep(b"abc", ".jpg")
    box.discard()
    box.sync()
    assert names(tmp_path) == []


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    reference = box.keep(b"abc", ".jpg")
    box.sync()
    path = box.path(reference)
    assert path is not None
    path.write_bytes(b"")
    box.keep(b"abc", ".jpg")
    box.sync()
    assert path.read_bytes() == b"abc"


@pytest.mark.parametrize(
    "reference", ["inbox:x.jpg", "inbox:../ledger.sqlite3", "inbox:" + "0" * 64, "a.jpg"]
)
def test_a_malformed_reference_has_no_file(tmp_path: Path, reference: str) -> None:
    (tmp_path / ("0" * 64)).write_bytes(b"x")
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert Inbox(tmp_path / "inbox").path(reference) is None
    assert Inbox(tmp_path).path(reference) is None


def test_a_link_in_the_inbox_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / f"{'0' * 64}.jpg").symlink_to(tmp_path / "secret")
    assert Inbox(tmp_path).path(f"inbox:{'0' * 64}.jpg") is None


def test_an_inbox_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InboxError, match="cannot write"):
        Inbox(tmp_path / "file" / "inbox").keep(b"abc", ".jpg")


def test_a_failing_part_does_not_fail_others(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    reference = box.keep(b"abc", ".jpg")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(InboxError, match="cannot write an inline asset: File too large"):
            box.keep(bytes(2000), ".jpg")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    box.sync()
    assert len(names(tmp_path)) == 1
    assert box.path(reference) is not None


def test_names_are_found_in_a_stored_job() -> None:
    name = f"{'ab' * 32}.mp4"
    assert inbox_names(
        f'{{"scenes":[{{"video":{{"path":"inbox:{name}"}}}},{{"image":"inbox:no.jpg"}}]}}'
    ) == {name}


def _aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_only_old_files_that_no_job_needs_are_swept(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    needed, old, young = (box.keep(data, ".jpg") for data in (b"needed", b"old", b"young"))
    box.sync()
    paths = {reference: box.path(reference) for reference in (needed, old, young)}
    for reference in (needed, old):
        assert paths[reference] is not None
        _aged(tmp_path / reference.removeprefix("inbox:"), 100)
    stranger = tmp_path / "notes.txt"
    stranger.write_text("keep me")
    _aged(stranger, 1000)
    leftover = tmp_path / ".partial-1"
    leftover.write_bytes(b"half")
    _aged(leftover, 1000)
    assert sweep_inbox(tmp_path, {needed}, 50) == 2
    assert names(tmp_path) == sorted(
        ["notes.txt", needed.removeprefix("inbox:"), young.removeprefix("inbox:")]
    )
    assert sweep_inbox(tmp_path / "not there", set(), 0) == 0


def test_files_of_the_given_age_are_swept_and_younger_ones_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Inbox(tmp_path)
    names_ = [box.keep(bytes([number]), ".jpg").removeprefix("inbox:") for number in range(2)]
    box.sync()
    now = 2_000_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    for name, age in zip(names_, (50, 49), strict=True):
        os.utime(tmp_path / name, (now - age, now - age))
    assert sweep_inbox(tmp_path, set(), 50) == 1
    assert names(tmp_path) == [names_[1]]


def test_files_moved_aside_by_a_killed_sweeper_are_swept_too(tmp_path: Path) -> None:
    old = tmp_path / f".swept-{'0' * 64}.jpg"
    old.write_bytes(b"x")
    young = tmp_path / f".swept-{'1' * 64}.jpg"
    young.write_bytes(b"x")
    _aged(old, 100)
    assert sweep_inbox(tmp_path, set(), 50) == 1
    assert names(tmp_path) == [young.name]


def test_names_and_references_both_keep_a_file(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    one, two = box.keep(b"1", ".jpg"), box.keep(b"2", ".jpg")
    box.sync()
    for reference in (one, two):
        _aged(tmp_path / reference.removeprefix("inbox:"), 100)
    assert sweep_inbox(tmp_path, {one, two.removeprefix("inbox:")}, 50) == 0


@pytest.mark.parametrize(
    "name", ["a" * 64, "a" * 63 + ".jpg", "A" * 64 + ".jpg", "a" * 64 + ".jpg.txt", "x.jpg"]
)
def test_files_that_are_not_the_inbox_s_are_never_swept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    _aged(tmp_path / name, 1000)
    assert sweep_inbox(tmp_path, set(), 0) == 0
    assert names(tmp_path) == [name]


def test_a_file_that_another_sweeper_takes_first_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Inbox(tmp_path)
    names_ = [box.keep(bytes([number]), ".jpg").removeprefix("inbox:") for number in range(2)]
    box.sync()
    for name in names_:
        _aged(tmp_path / name, 100)
    real = Path.replace

    def taken(self: Path, target: Path) -> Path:
        if self.name == names_[0]:
            self.unlink()
        return real(self, target)

    monkeypatch.setattr(Path, "replace", taken)
    assert sweep_inbox(tmp_path, set(), 50) == 1
    assert names(tmp_path) == []


def test_a_file_found_again_while_it_is_swept_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = Inbox(tmp_path)
    reference = box.keep(b"abc", ".jpg")
    box.sync()
    path = tmp_path / reference.removeprefix("inbox:")
    _aged(path, 100)
    real = Path.replace

    def moved(self: Path, target: Path) -> Path:
        result = real(self, target)
        if self == path:
            os.utime(target)  # as the server does when it opens the file again
        return result

    monkeypatch.setattr(Path, "replace", moved)
    assert sweep_inbox(tmp_path, set(), 50) == 0
    assert names(tmp_path) == [path.name]


def test_a_part_handed_in_again_is_not_swept(tmp_path: Path) -> None:
    box = Inbox(tmp_path)
    reference = box.keep(b"abc", ".jpg")
    box.sync()
    _aged(tmp_path / reference.removeprefix("inbox:"), 100)
    box.keep(b"abc", ".jpg")
    box.sync()
    assert sweep_inbox(tmp_path, set(), 50) == 0
    assert box.path(reference) is not None


def test_a_synced_part_survives_a_sweep_at_the_same_time(tmp_path: Path) -> None:
    done = threading.Event()

    def sweep() -> None:
        while not done.is_set():
            sweep_inbox(tmp_path, set(), 600)

    sweeper = threading.Thread(target=sweep)
    sweeper.start()
    try:
        box = Inbox(tmp_path)
        for _ in range(300):
            reference = box.keep(b"abc", ".jpg")
            box.sync()
            # It is moved aside for a moment, to check its age.
            wait_until(lambda reference=reference: box.path(reference), what="the part")
            with suppress(FileNotFoundError):
                _aged(tmp_path / reference.removeprefix("inbox:"), 1000)
    finally:
        done.set()
        sweeper.join()
