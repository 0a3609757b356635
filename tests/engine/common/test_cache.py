"""The content cache: shared by processes, never half-written, pruned by age and last use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.at_once import ROOT, run_at_once
from video_pipeline.engine.common.cache import ContentCache, DamagedError, file_sha256, key_of, open_cache
from video_pipeline.engine.errors import ConfigError


def made(cache: ContentCache, text: str, *, ttl: float | None = None, name: str = "a") -> tuple[Path, bool]:
    return cache.get_or_make("notes", {"name": name}, ".txt", lambda target: _write(target, text), ttl=ttl)


def _write(target: Path, text: str) -> None:
    target.write_text(text)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_what_was_made_is_found_again(tmp_path: Path) -> None:
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


def test_no_time_at_all_makes_it_each_time(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path)
    made(cache, "one", ttl=0)
    path, hit = made(cache, "two", ttl=0)
    assert (path.read_text(), hit) == ("two", False)


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    cache = ContentCache(tmp_path, max_bytes=250)
    paths = {name: made(cache, "x" * 100, name=name)[0] for name in "abcd"}
    for age, name in enumerate("dcba"):
        os.utime(paths[name], (time.time() - 1000 * (age + 1), time.time() - 5))
    made(cache, "", name="a")  # the oldest was used just now
    assert cache.prune() == 200
    assert {name for name, path in paths.items() if path.exists()} == {"a", "d"}
    assert cache.prune() == 0


def test_pruning_deletes_what_a_killed_process_has_left_and_spares_what_is_being_written(
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
