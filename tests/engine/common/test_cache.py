"""The content cache: shared by processes, never half-written, pruned by age and last use."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.at_once import ROOT, run_at_once
from tests.support.disks import small_disk
from video_pipeline.engine.common.cache import ContentCache, DamagedError, file_sha256, key_of, open_cache
from video_pipeline.engine.common.cache_room import COUNT
from video_pipeline.engine.errors import ConfigError


def made(cache: ContentCache, text: str, *, ttl: float | None = None, name: str = "a") -> tuple[Path, bool]:
    return cache.get_or_make("notes", {"name": name}, ".txt", lambda target: _write(target, text), ttl=ttl)


def _write(target: Path, text: str) -> None:
    target.write_text(text)


def files(folder: Path) -> list[Path]:
    """Return the files of a cache, without the count of their bytes."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != COUNT)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in files(folder))


def test_a_made_entry_is_found_again(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    path, hit = made(cache, "first")
    assert (path.read_text(), hit, path.suffix) == ("first", False, ".txt")
    assert made(cache, "second") == (path, True)
    assert path.read_text() == "first"
    other, hit = made(cache, "other", name="b")
    assert (other.read_text(), hit) == ("other", False)


def test_the_callback_runs_before_a_file_is_made(tmp_path: Path) -> None:
    told: list[list[str]] = []
    cache = ContentCache(tmp_path, on_make=lambda: told.append([path.name for path in files(tmp_path)]))
    path, _ = made(cache, "first")
    made(cache, "second")
    made(cache, "other", name="b")
    assert told == [[], [path.name]]


def test_the_key_follows_the_content_and_not_the_order_or_the_process() -> None:
    parts = {"b": [1, 2], "a": {"y": "ü", "x": None}}
    assert key_of(parts) == key_of({"a": {"x": None, "y": "ü"}, "b": [1, 2]})
    assert key_of(parts) != key_of({**parts, "b": [2, 1]})
    code = "from video_pipeline.engine.common.cache import key_of; print(key_of({'b': [1, 2], 'a': {'y': 'ü', 'x': None}}))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONUTF8": "1"}
    told = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert told.stdout.strip() == key_of(parts)


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(target: Path) -> None:
        target.write_text("half")
        raise RuntimeError("broken maker")

    cache = ContentCache(tmp_path)
    with pytest.raises(RuntimeError, match="broken maker"):
        cache.get_or_make("notes", {"name": "a"}, ".txt", fail)
    assert files(tmp_path) == []
    assert made(cache, "well")[1] is False


def test_an_empty_file_is_made_again(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    path, _ = made(cache, "x")
    path.write_bytes(b"")
    assert made(cache, "y") == (path, False)
    assert path.read_text() == "y"


def test_a_file_is_made_again_when_its_time_is_up(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    path, _ = made(cache, "old")
    os.utime(path, (time.time() - 100, time.time() - 100))
    assert made(cache, "new", ttl=200)[1] is True
    assert made(cache, "new", ttl=None)[1] is True
    assert made(cache, "new", ttl=50)[1] is False
    assert path.read_text() == "new"


def test_a_file_that_does_not_check_is_made_again_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def check(path: Path) -> None:
        if path.read_text() != "whole":
            raise DamagedError("it is not whole")

    def make(target: Path) -> None:
        target.write_text("whole")

    cache = ContentCache(tmp_path)
    path, hit = cache.get_or_make("notes", {"name": "a"}, ".txt", make, check=check)
    assert cache.get_or_make("notes", {"name": "a"}, ".txt", make, check=check) == (path, True)
    path.write_text("who")
    assert cache.get_or_make("notes", {"name": "a"}, ".txt", make, check=check) == (path, False)
    assert (hit, path.read_text()) == (False, "whole")
    assert [record.message for record in caplog.records] == [
        f"cached file {path} is made again: it is not whole"
    ]


def test_use_does_not_make_a_file_younger(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    path, _ = made(cache, "old")
    os.utime(path, (time.time() - 100, time.time() - 100))
    before = path.stat().st_mtime
    for _ in range(3):
        assert made(cache, "new", ttl=200)[1] is True
    assert path.stat().st_mtime == pytest.approx(before, abs=0.01)
    assert made(cache, "new", ttl=99)[1] is False


def test_a_lifetime_of_zero_makes_the_entry_each_time(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    made(cache, "one", ttl=0)
    path, hit = made(cache, "two", ttl=0)
    assert (path.read_text(), hit) == ("two", False)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    paths = {name: made(ContentCache(tmp_path), "x" * 100, name=name)[0] for name in "abcd"}
    cache = ContentCache(tmp_path, max_bytes=250)
    for age, name in enumerate("dcba"):
        os.utime(paths[name], (time.time() - 1000 * (age + 1), time.time() - 5))
    made(cache, "", name="a")  # the oldest was used just now
    assert cache.prune() == 200
    assert {name for name, path in paths.items() if path.exists()} == {"a", "d"}
    assert cache.prune() == 0


def test_pruning_deletes_files_of_killed_processes_and_keeps_files_being_written(
    tmp_path: Path,
) -> None:
    cache = ContentCache(tmp_path)
    kept, _ = cache.get_or_make("kind", {"a": 1}, ".bin", lambda path: path.write_bytes(b"x") and None)
    left, young = (kept.with_name(f".partial-1-{name}.bin") for name in ("left", "young"))
    for path in (left, young):
        path.write_bytes(b"half")
    two_days_ago = time.time() - 2 * 86400
    os.utime(left, (two_days_ago, two_days_ago))
    assert cache.prune() == 0
    assert [path.exists() for path in (kept, left, young)] == [True, False, True]


def test_pruning_an_empty_or_missing_folder_frees_nothing(tmp_path: Path) -> None:
    assert ContentCache(tmp_path / "none").prune() == 0


FILLER = """
import sys, time
from pathlib import Path
from video_pipeline.engine.common.cache import ContentCache
cache, name = ContentCache(Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
def make(target):
    with target.open("wb") as file:
        for _ in range(20):
            file.write(name.encode() * 50_000)
            file.flush()
            time.sleep(0.005)
for turn in range(12):
    path, hit = cache.get_or_make("big", {"turn": turn}, ".bin", make)
    data = path.read_bytes()
    assert len(data) == 1_000_000 and data == data[:1] * len(data), (turn, len(data))
print("done", flush=True)
"""


def test_two_processes_fill_the_same_keys_at_once_and_see_only_whole_files(tmp_path: Path) -> None:
    told = run_at_once(FILLER, [(str(tmp_path), name) for name in "ab"])
    assert told == ["done\n", "done\n"]
    left = files(tmp_path)
    assert len(left) == 12
    assert all(path.suffix == ".bin" and not path.name.startswith(".") for path in left)


def test_a_file_s_hash_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_cache_folder_is_made_and_one_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert open_cache(folder, max_bytes=5) == ContentCache(folder, 5)
    assert files(folder) == []
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(
        ConfigError, match=r"storage\.cache_path: .*file/cache cannot be written.*name a writable"
    ):
        open_cache(blocked / "cache", max_bytes=5)


class TestOwn:
    """The folder of a render keeps the files that it uses, whatever happens to the cache."""

    @pytest.fixture
    def cache(self, tmp_path: Path) -> ContentCache:
        return ContentCache(tmp_path / "cache", own=tmp_path / "own")

    def test_a_file_that_is_made_or_found_outlives_the_cache(
        self, tmp_path: Path, cache: ContentCache
    ) -> None:
        mine, hit = made(cache, "first")
        assert (mine.is_relative_to(tmp_path / "own"), hit) == (True, False)
        other = replace(cache, own=tmp_path / "other")
        found, hit = made(other, "second")
        assert (found.read_text(), hit) == ("first", True)
        shutil.rmtree(cache.folder)
        assert mine.read_text() == found.read_text() == "first"
        assert made(other, "third") == (found, True)
        assert made(replace(cache, own=tmp_path / "later"), "fourth")[1] is False
        assert [path.read_text() for path in files(cache.folder)] == ["fourth"]

    @pytest.mark.parametrize("links", [True, False], ids=["linked", "copied"])
    def test_a_corrupt_or_empty_entry_is_made_again_and_replaced(
        self, tmp_path: Path, cache: ContentCache, monkeypatch: pytest.MonkeyPatch, links: bool
    ) -> None:
        if not links:
            monkeypatch.setattr(os, "link", _no_links)

        def check(path: Path) -> None:
            if path.read_text() != "whole":
                raise DamagedError("it is not whole")

        def ask(name: str) -> tuple[str, bool]:
            path, hit = replace(cache, own=tmp_path / name).get_or_make(
                "notes", {}, ".txt", lambda target: _write(target, "whole"), check=check
            )
            return path.read_text(), hit

        assert ask("a") == ("whole", False)
        for damage in ("who", ""):
            (entry,) = files(cache.folder)
            entry.unlink()
            entry.write_text(damage)
            assert ask(f"{damage}1") == ("whole", False)
            assert ask(f"{damage}2") == ("whole", True)
        assert not [path for path in files(tmp_path) if path.name.startswith(".partial-")]

    @pytest.mark.parametrize("fault", ["a file", "a file in it", "read-only"])
    def test_a_cache_that_cannot_be_written_is_warned_of_once(
        self, tmp_path: Path, cache: ContentCache, caplog: pytest.LogCaptureFixture, fault: str
    ) -> None:
        with ExitStack() as opened:
            if fault == "a file":
                cache.folder.write_text("no folder")
            elif fault == "a file in it":
                cache.folder.mkdir()
                (cache.folder / "notes").write_text("no folder")
            else:
                opened.enter_context(small_disk(cache.folder, "ro"))
            for name in "abc":
                path, hit = made(cache, name, name=name)
                assert (path.read_text(), hit) == (name, False)
            cache.prune_when_due()
        (message,) = [record.message for record in caplog.records]
        assert message.startswith(f"storage.cache_path: {cache.folder}: ")
        assert message.endswith("; going on without the cache")

    def test_a_maker_that_fails_leaves_nothing(self, tmp_path: Path, cache: ContentCache) -> None:
        def fail(target: Path) -> None:
            target.write_text("half")
            raise RuntimeError("broken maker")

        with pytest.raises(RuntimeError, match="broken maker"):
            cache.get_or_make("notes", {"name": "a"}, ".txt", fail)
        assert files(tmp_path) == []


def _no_links(source: object, target: object) -> None:
    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("own", [True, False], ids=["own copies", "in the cache"])
def test_the_bound_holds_after_each_write(tmp_path: Path, own: bool) -> None:
    cache = ContentCache(tmp_path / "cache", 1000, own=tmp_path / "own" if own else None)
    for number in range(40):
        assert made(cache, "x" * 90, name=str(number))[0].exists()
        assert size(cache.folder) <= 1000
    assert size(cache.folder) >= 700
    kept = {path.name for path in files(cache.folder)}
    assert cache.path("notes", {"name": "39"}, ".txt").name in kept
    cache.store(cache.folder / "notes" / "bytes", b"y" * 300)
    assert size(cache.folder) <= 1000
    assert (cache.folder / "notes" / "bytes").exists()


def test_a_file_above_the_bound_is_not_kept_and_costs_no_other(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path / "cache", 1000, own=tmp_path / "own")
    made(cache, "small", name="small")
    path, _ = made(cache, "x" * 1001, name="large")
    assert path.read_text() == "x" * 1001
    assert [path.read_text() for path in files(cache.folder)] == ["small"]


def test_files_deleted_by_other_programs_are_no_longer_counted(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path / "cache", 1000, own=tmp_path / "own")
    for number in range(9):
        made(cache, "x" * 100, name=str(number))
    for path in files(cache.folder):
        path.unlink()
    for number in range(10, 18):
        made(cache, "x" * 100, name=str(number))
    assert size(cache.folder) == 800


def test_a_cache_leaves_the_required_space_free(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    for keep, kept in ((free * 2, 0), (free // 2, 1)):
        cache = ContentCache(tmp_path / str(kept), keep_free_bytes=keep, own=tmp_path / f"own{kept}")
        assert made(cache, "text")[0].read_text() == "text"
        assert len(files(cache.folder)) == kept


def test_pruning_keeps_files_being_written(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path, max_bytes=100)

    def make(target: Path) -> None:
        target.write_text("x" * 90)
        made(cache, "y" * 90, name="other")  # prunes
        assert target.exists()

    path, _ = cache.get_or_make("notes", {"name": "a"}, ".txt", make)
    assert path.read_text() == "x" * 90


def test_a_file_is_made_elsewhere_if_the_cache_cannot_be_written_and_the_render_has_no_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    cache = ContentCache(tmp_path / "file")
    path, hit = made(cache, "text")
    assert (path.read_text(), hit) == ("text", False)
    assert not path.is_relative_to(tmp_path)
    assert cache.prune_when_due() == 0
    assert len(caplog.records) == 1


BOUNDED = """
import fcntl, sys
from pathlib import Path
from video_pipeline.engine.common.cache import ContentCache
folder, name = Path(sys.argv[1]), sys.argv[2]
cache = ContentCache(folder, 200_000)
print("ready", flush=True)
sys.stdin.readline()
most = 0
for number in range(60):
    cache.store(folder / "big" / f"{name}{number}", bytes(9_000))
    with (folder / ".size").open() as count:
        fcntl.flock(count, fcntl.LOCK_EX)  # nothing is deleted meanwhile, but private files may get their names
        total = {}
        for path in folder.glob("big/*"):
            try:
                total[path.stat().st_ino] = path.stat().st_size
            except OSError:
                pass
    most = max(most, sum(total.values()))
print(most, flush=True)
"""


def test_the_bound_holds_while_several_processes_write(tmp_path: Path) -> None:
    told = run_at_once(BOUNDED, [(str(tmp_path), name) for name in "abc"])
    assert all(0 < int(most) <= 200_000 for most in told)
    assert size(tmp_path) >= 150_000
