"""A real S3 server for tests: SeaweedFS, if its package is installed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.ports import free_port
from tests.support.waiting import FAST_SECONDS

ACCESS_KEY = "test-access-key"
SECRET_KEY = "test-secret-key-of-no-use"
READY_SECONDS = 120.0
PROBE_BUCKET = "is-it-ready"


def weed_program() -> Path | None:
    """Return SeaweedFS's program beside this Python, None if it is not installed."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    return Path(found) if found else None


def server_command(folder: Path, ports: Sequence[int], address: str = "127.0.0.1") -> list[str | Path]:
    """Return the command of a server on a folder, with its four ports: master, volume, filer, S3. Writes its keys."""
    program = weed_program()
    assert program is not None
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "s3.json").write_text(
        json.dumps({"identities": [{"name": "test", "credentials": [keys], "actions": actions}]})
    )
    master, volume, filer, s3 = ports
    return [
        *(program, "server", f"-dir={folder}", f"-ip={address}", f"-ip.bind={address}"),
        *(f"-master.port={master}", f"-volume.port={volume}", "-volume.max=20"),
        *("-master.volumeSizeLimitMB=64", "-filer", f"-filer.port={filer}", "-s3", f"-s3.port={s3}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"),
    ]


class S3Server:
    """A context manager that runs the server on a folder; `stop` and `start` are an outage."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ports = [free_port(beside=10_000) for _ in range(4)]  # it takes the port 10,000 above, too
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._ports[3]}"

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                server_command(self._folder, self._ports), stdout=log, stderr=log, cwd=self._folder
            )
        until = time.monotonic() + READY_SECONDS
        while not self._keeps_an_object():
            ended = self._process.poll() is not None
            assert not ended, (self._folder / "log").read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.1)

    def _keeps_an_object(self) -> bool:
        """Return whether an object can be stored and deleted: the port is open before that."""
        client = botocore.session.get_session().create_client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=FAST_SECONDS),
        )
        try:
            with suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=PROBE_BUCKET)
            client.put_object(Bucket=PROBE_BUCKET, Key="probe", Body=b"x")
            client.delete_object(Bucket=PROBE_BUCKET, Key="probe")
            client.delete_bucket(Bucket=PROBE_BUCKET)
        except (BotoCoreError, ClientError):
            return False
        finally:
            client.close()
        return True

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)  # it ignores SIGTERM for ten seconds
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
