"""What a fleet of tests stands on beside its machines, and how it fails: shared storage, and Redis behind Ray's store."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol

from tests.support.namespaces import NamespacedMachine, Program
from tests.support.s3_server import ACCESS_KEY, SECRET_KEY, server_command

BUCKET = "farm-storage"
S3_PORTS = (9333, 9340, 9888, 8333)
START_SECONDS = 60.0

# Run in a machine: `URL BUCKET make`, `list` or `damage KEY …`.
CLIENT = """
import sys
from datetime import timedelta
from obstore.exceptions import NotFoundError, PreconditionError
from obstore.store import S3Store
url, bucket, verb, *rest = sys.argv[1:]
if verb == "make":
    import botocore.session
    client = botocore.session.get_session().create_client("s3", endpoint_url=url)
    if bucket not in {found["Name"] for found in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="probe", Body=b"x")
    client.delete_object(Bucket=bucket, Key="probe")
else:
    store = S3Store(bucket, endpoint=url, client_options={"allow_http": True, "timeout": timedelta(seconds=30)})
    if verb == "list":
        print(*(found["path"] for page in store.list() for found in page), sep="\\n")
    else:
        for key in rest:
            try:
                store.put(key, b"damaged", mode={"e_tag": store.head(key)["e_tag"]})
            except (FileNotFoundError, NotFoundError, PreconditionError):
                pass
"""


class TestStorage(Protocol):
    """The shared storage of a fleet, and its faults."""

    __test__ = False

    @property
    def keys(self) -> Mapping[str, str]:
        """Keys of the section `fleet` that name it."""

    @property
    def environ(self) -> Mapping[str, str]:
        """Environment of the programs that use it."""

    def away(self) -> AbstractContextManager[None]:
        """Let it be gone."""

    def objects(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix."""

    def damage(self, *keys: str) -> None:
        """Overwrite objects that are there with other bytes."""


class FolderStorage:
    """A folder that all machines see."""

    environ: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self.keys: Mapping[str, str] = {"store": str(folder)}

    @contextmanager
    def away(self) -> Iterator[None]:
        """Rename the folder, as if it were not mounted."""
        gone = self._folder.with_name("store-away")
        self._folder.rename(gone)
        try:
            yield
        finally:
            gone.rename(self._folder)

    def objects(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix."""
        found = (path for path in self._folder.rglob("*") if path.is_file())
        keys = (path.relative_to(self._folder).as_posix() for path in found)
        return sorted(key for key in keys if key.startswith(prefix))

    def damage(self, *keys: str) -> None:
        """Overwrite objects that are there with other bytes."""
        for key in keys:
            with suppress(FileNotFoundError), (self._folder / key).open("r+b") as file:
                file.truncate(0)
                file.write(b"damaged")


class BucketStorage:
    """A bucket of SeaweedFS, a server that runs in a machine."""

    def __init__(self, machine: NamespacedMachine, folder: Path) -> None:
        self._machine, self._folder = machine, folder
        self.url = f"http://{machine.address}:{S3_PORTS[3]}"
        self.keys: Mapping[str, str] = {"store": f"s3://{BUCKET}", "store_endpoint": self.url}
        self.environ: Mapping[str, str] = {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        self.program = self._start()

    def _start(self) -> Program:
        command = server_command(self._folder, S3_PORTS, self._machine.address)
        program = self._machine.start(*command)
        until = time.monotonic() + START_SECONDS
        while (told := self._client("make"))[0]:
            assert program.status is None, program.output()[-2000:]
            assert time.monotonic() < until, told[1]
            time.sleep(0.2)
        return program

    def _client(self, *verb: str) -> tuple[int, str]:
        command = (sys.executable, "-c", CLIENT, self.url, BUCKET, *verb)
        done = self._machine.run(*command, environ=self.environ, seconds=START_SECONDS)
        return done.returncode, done.stdout if done.returncode == 0 else done.stderr

    @contextmanager
    def away(self) -> Iterator[None]:
        """Kill the server, and start it again on its folder."""
        self.program.kill()
        try:
            yield
        finally:
            self.program = self._start()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the server: it takes connections and answers none."""
        self.program.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.program.signal(signal.SIGCONT)

    def objects(self, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix."""
        status, told = self._client("list")
        assert status == 0, told
        return sorted(key for key in told.splitlines() if key.startswith(prefix))

    def damage(self, *keys: str) -> None:
        """Overwrite objects that are there with other bytes."""
        status, told = self._client("damage", *keys)
        assert status == 0, told


class RedisServer:
    """Redis in a machine, which keeps its data on disk."""

    def __init__(self, machine: NamespacedMachine, port: int) -> None:
        self._machine, self.port = machine, port
        self._folder = machine.tmp / "redis"
        self._folder.mkdir()
        self.program = self._start()

    def _start(self) -> Program:
        keeps = ("--appendonly", "yes", "--dir", "/tmp/redis")
        program = self._machine.start("redis-server", "--port", str(self.port), "--save", "", *keeps)
        program.wait_for("Ready to accept connections", START_SECONDS)
        return program

    @contextmanager
    def away(self, *, forgets: bool = False) -> Iterator[None]:
        """Kill it, and start it again, `forgets`: without its data."""
        self.program.kill()
        try:
            yield
        finally:
            if forgets:
                for path in sorted(self._folder.rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
            self.program = self._start()

    def requests(self) -> int:
        """Return how many requests it has answered, this one not counted."""
        told = self._machine.run("redis-cli", "-p", str(self.port), "info", "stats").stdout
        return int(
            next(line for line in told.splitlines() if line.startswith("total_commands")).split(":")[1]
        )
