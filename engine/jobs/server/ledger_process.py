"""A process that writes the ledger while the server process reads and checks the next requests.

A process, not a thread: SQLite releases Python's lock at every step and would wait each time for the thread that
checks requests (measured: two threads are slower than one that does both). It is forked before any socket, thread or
SQLite connection exists. It first reports whether it could open the ledger; then one message at a time goes each way:

    to it     [[encoding, fields of a NewJob] or [encoding, verb, job id, user, value], …]     MessagePack after its length
    from it   [[error code or "", body], …]

Requests that arrive during a commit share the next one, so commits grow with the load.
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
from video_pipeline.engine.jobs.server.wire import EncodedReply
from video_pipeline.engine.jobs.server.work import Work
from video_pipeline.engine.jobs.server.writes import JobChange, LedgerWriter, Write

logger = logging.getLogger(__name__)

COMMIT_MOST = 256
COMMIT_BYTES = 16_000_000
"""Most requests in one commit, and about how many bytes."""
WAITING_MOST = 1024
WAITING_BYTES = 64_000_000
"""Most requests in the write queue, and about how many bytes; above either, further requests are refused."""

_NEW_JOB = attrgetter(*(field.name for field in fields(NewJob)))
_LENGTH: Final = struct.Struct(">I")
_READ_BYTES = 1 << 18


class LedgerProcess:
    """The server's side of the process. `descriptor` is readable when there are replies.

    Create it before any thread; `open` raises LedgerError. Only `open` and `close` block. If the process has ended,
    methods raise RuntimeError: the writes without a reply may be lost, and clients send them again.
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
        self._in_flight: list[Work] = []
        self._out = memoryview(b"")
        self._in = bytearray()

    def open(self) -> None:
        """Wait until the process has opened the ledger, which must be complete by now."""
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
        """Whether the write queue is full."""
        return len(self._waiting) >= WAITING_MOST or self._waiting_bytes >= WAITING_BYTES

    @property
    def pending(self) -> int:
        """Number of requests without a reply."""
        return len(self._waiting) + len(self._in_flight)

    def put(self, works: Sequence[Work]) -> None:
        """Queue requests to be written."""
        for work in works:
            self._waiting.append(work)
            self._waiting_bytes += work.size
        self._send()

    @property
    def wants_write(self) -> bool:
        """Whether `flush` is to be called when `descriptor` is writable."""
        return len(self._out) > 0

    def flush(self) -> None:
        """Send as much as the socket takes."""
        while self._out:
            try:
                sent = self._socket.send(self._out)
            except BlockingIOError:
                return
            except OSError as error:
                raise RuntimeError(_ENDED) from error
            self._out = self._out[sent:]

    def answered(self) -> list[Work]:
        """Return the requests that now have a reply."""
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
        works, self._in_flight = self._in_flight, []
        for work, (code, body) in zip(works, answers, strict=True):
            work.reply = EncodedReply(code or None, body)
        self._send()
        return works

    def close(self) -> None:
        """Stop the process; it finishes its current commit first."""
        self._socket.close()
        with suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def _send(self) -> None:
        """Send the next batch unless one is in flight."""
        if self._in_flight or not self._waiting:
            return
        size = 0
        while self._waiting and len(self._in_flight) < COMMIT_MOST and size < COMMIT_BYTES:
            work = self._waiting.popleft()
            size += work.size
            self._in_flight.append(work)
        self._waiting_bytes -= size
        self._out = memoryview(_packed([_work_row(work) for work in self._in_flight]))
        self.flush()


_ENDED = "the process that writes the ledger has ended"


def _packed(rows: Sequence[Any]) -> bytes:
    data: bytes = msgpack.packb(rows)
    return _LENGTH.pack(len(data)) + data


def _read(stream: BinaryIO) -> bytes | None:
    """Wait for the next message; return None at the end of the stream."""
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
        return work.route.encoding, *_NEW_JOB(write)
    return work.route.encoding, write.verb, write.job_id, write.user, write.value


def _write_of(values: Sequence[Any]) -> Write:
    return JobChange(*values) if len(values) == len(fields(JobChange)) else NewJob(*values)


def _run_process(sock: socket.socket, parent: int, path: Path, node: Node) -> NoReturn:
    """Run the process that writes the ledger."""
    status = 1
    try:
        die_with_parent(parent)
        _detach_standard_streams()
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
            _serve_requests(sock, stream, LedgerWriter(ledger, node))
        status = 0
    except (ConnectionError, BrokenPipeError):
        status = 0  # the server process has ended
    except BaseException:
        logger.exception("the process that writes the ledger failed")
    os._exit(status)


def _serve_requests(sock: socket.socket, stream: BinaryIO, writer: LedgerWriter) -> None:
    while (data := _read(stream)) is not None:
        rows = msgpack.unpackb(data)
        encodings: list[Encoding] = [row[0] for row in rows]
        answers = writer.write([_write_of(row[1:]) for row in rows])
        encoded = [EncodedReply.of(answer, how) for answer, how in zip(answers, encodings, strict=True)]
        sock.sendall(_packed([(one.code or "", one.body) for one in encoded]))


def _detach_standard_streams() -> None:
    """Detach from the pipes to the node, so that they end with the server process."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)
