"""The process that writes the ledger for the front end, which reads and checks the next requests meanwhile.

A process, not a thread: SQLite gives Python's lock back at every step and would wait for it again each time behind
the thread that checks (measured: slower than one thread that does both). It is forked before there is a socket, a
thread or a connection of SQLite, says first whether it could open the ledger, and then, one message each way at a
time:

    to it     [[encoding, fields of a NewJob] or [encoding, verb, job id, user], …]     MessagePack, its length before it
    from it   [[error code or "", body], …]

While one commit is on its way to the disk what comes gathers for the next: the more there is to do, the more of it
is one commit.
"""

from __future__ import annotations

import gc
import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import msgpack

from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.messages import Encoding
from video_pipeline.engine.jobs.model import NewJob
from video_pipeline.engine.jobs.processes import die_with_parent
from video_pipeline.engine.jobs.server.wire import Encoded
from video_pipeline.engine.jobs.server.work import Work
from video_pipeline.engine.jobs.server.writes import Change, Write, Writes

logger = logging.getLogger(__name__)

COMMIT_MOST = 256
COMMIT_BYTES = 16_000_000
"""Requests of one commit, and about their bytes."""
WAITING_MOST = 1024
WAITING_BYTES = 64_000_000
"""Requests that wait to be written, and about their bytes; with more, further ones are refused."""

_NEW_JOB = attrgetter(*(field.name for field in fields(NewJob)))
_LENGTH: Final = struct.Struct(">I")
_READ_BYTES = 1 << 18


class LedgerProcess:
    """The parent's side. `descriptor` is readable where something has been answered.

    Create it before any thread; `open` raises LedgerError. Nothing else waits for the process; where it has ended,
    RuntimeError is raised: what it had not answered does not count, and whoever asked asks again.
    """

    def __init__(self, path: Path, node: Node) -> None:
        self._socket, theirs = socket.socketpair()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            self._socket.close()
            _run_process(theirs, parent, path, node)
        theirs.close()
        self.descriptor = self._socket.fileno()
        self._waiting: deque[Work] = deque()
        self._waiting_bytes = 0
        self._under_way: list[Work] = []
        self._out = memoryview(b"")
        self._in = bytearray()

    def open(self) -> None:
        """Wait until it has opened the ledger, which must be a whole one by now."""
        with self._socket.makefile("rb") as stream:
            self._socket.sendall(_LENGTH.pack(0))
            fault = _read(stream)
        self._socket.setblocking(False)
        if fault is None:
            raise LedgerError("the process that writes the ledger ended at once")
        if fault:
            raise LedgerError(fault.decode())

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more is to be put."""
        return len(self._waiting) >= WAITING_MOST or self._waiting_bytes >= WAITING_BYTES

    @property
    def pending(self) -> int:
        """How many are not answered."""
        return len(self._waiting) + len(self._under_way)

    def put(self, works: Sequence[Work]) -> None:
        """Have requests written."""
        for work in works:
            self._waiting.append(work)
            self._waiting_bytes += work.size
        self._send()

    @property
    def wants_room(self) -> bool:
        """Whether `flush` is to be called when `descriptor` is writable."""
        return len(self._out) > 0

    def flush(self) -> None:
        """Send as much as goes."""
        while self._out:
            try:
                sent = self._socket.send(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise RuntimeError(_ENDED) from error
            self._out = self._out[sent:]

    def answered(self) -> list[Work]:
        """Return those that have been answered by now."""
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return []
        except OSError as error:
            raise RuntimeError(_ENDED) from error
        if not data:
            raise RuntimeError(_ENDED)
        self._in += data
        if len(self._in) < _LENGTH.size:
            return []
        end = _LENGTH.size + _LENGTH.unpack_from(self._in)[0]
        if len(self._in) < end:
            return []
        answers = msgpack.unpackb(memoryview(self._in)[_LENGTH.size : end])
        self._in = self._in[end:]
        works, self._under_way = self._under_way, []
        for work, (code, body) in zip(works, answers, strict=True):
            work.answer = Encoded(code or None, body)
        self._send()
        return works

    def close(self) -> None:
        """End it; what it has under way is written first."""
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _send(self) -> None:
        """Send what waits, if nothing is under way."""
        if self._under_way or not self._waiting:
            return
        size = 0
        while self._waiting and len(self._under_way) < COMMIT_MOST and size < COMMIT_BYTES:
            work = self._waiting.popleft()
            size += work.size
            self._under_way.append(work)
        self._waiting_bytes -= size
        self._out = memoryview(_packed([_work_row(work) for work in self._under_way]))
        self.flush()


_ENDED = "the process that writes the ledger has ended"


def _packed(rows: Sequence[Any]) -> bytes:
    data: bytes = msgpack.packb(rows)
    return _LENGTH.pack(len(data)) + data


def _read(stream: BinaryIO) -> bytes | None:
    """Return the next message, waiting for it; None at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    size = _LENGTH.unpack(head)[0]
    data = stream.read(size)
    return data if len(data) == size else None


def _work_row(work: Work) -> tuple[Any, ...]:
    write = work.write
    assert write is not None
    if isinstance(write, NewJob):
        return work.back.encoding, *_NEW_JOB(write)
    return work.back.encoding, write.verb, write.job_id, write.user


def _write_of(values: Sequence[Any]) -> Write:
    return Change(*values) if len(values) == 3 else NewJob(*values)


def _run_process(sock: socket.socket, parent: int, path: Path, node: Node) -> NoReturn:
    """Be the process."""
    status = 1
    try:
        die_with_parent(parent)
        _leave_standard_streams()
        gc.freeze()
        stream = sock.makefile("rb")
        if _read(stream) is None:
            os._exit(status)
        try:
            ledger = Ledger(path)
        except LedgerError as error:
            fault = str(error).encode("utf-8", "replace")
            sock.sendall(_LENGTH.pack(len(fault)) + fault)
            os._exit(status)
        sock.sendall(_LENGTH.pack(0))
        with ledger:
            _serve_requests(sock, stream, Writes(ledger, node))
        status = 0
    except (ConnectionError, BrokenPipeError):
        status = 0  # the front end has ended
    except BaseException:
        logger.exception("the process that writes the ledger fails and ends")
    os._exit(status)


def _serve_requests(sock: socket.socket, stream: BinaryIO, writes: Writes) -> None:
    while (data := _read(stream)) is not None:
        rows = msgpack.unpackb(data)
        encodings: list[Encoding] = [row[0] for row in rows]
        answers = writes.do([_write_of(row[1:]) for row in rows])
        encoded = [Encoded.of(answer, how) for answer, how in zip(answers, encodings, strict=True)]
        sock.sendall(_packed([(one.code or "", one.body) for one in encoded]))


def _leave_standard_streams() -> None:
    """Hold no end of the pipes to the node: it sees them end with the front end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
