"""Send a real server process malformed messages, and check that it survives, stays small and serves other clients.

    python -m tests.engine.jobs.server.fuzz_protocol --messages 100000 --seed 1

Prints one JSON object with a well-behaved client's latency before and during the flood. Exit status 1 where the
process died, grew beyond its bound, or left a well-behaved client without an answer.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import socket
import statistics
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgpack
import zmq

from tests.support.server import STORY, RunningServer, Speaker, memory_of, node_config
from tests.support.zmtp import GREETING, address, frame, greeted, ready
from video_pipeline.engine.jobs.verbs import REQUESTS

MEMORY_BOUND = 400 << 20
"""Bytes that the server process may grow by at any moment: its budget of 256 MB + 4 x max_message_mb, and its own work."""
ANSWER_SECONDS = 30.0
VERBS = tuple(verb.encode() for verb in REQUESTS)
JOB = "job-" + "0" * 24
BODIES: tuple[dict[str, Any], ...] = (
    {"story": STORY, "key": "fuzz", "config": {"video": {"fps": 25}}},
    {"story": {"title": "T", "scenes": [{"scene_id": "a", "image": "inline:0", "effects": ["fade_in"]}]}},
    {"job_id": JOB},
    {"job_id": JOB, "timeout": 0.01},
    {"limit": 3, "status": "queued", "before": JOB},
    {"after": 2, "limit": 5},
    {"job_id": JOB, "name": "film.mp4", "offset": 7, "length": 9},
)


class Fuzzer:
    """Makes wrong messages and sends them. `sent` counts them by kind."""

    def __init__(self, server: RunningServer, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = self._new_dealer()
        self._since = 0

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(0)

    def send_one(self) -> None:
        """Send one wrong message, now and then a whole wrong connection."""
        kinds: tuple[tuple[Callable[[], None], int], ...] = (
            (self.random_frames, 300),
            (self.mutated_request, 500),
            (self.truncated_body, 100),
            (self.odd_values, 100),
            (self.bomb, 20),
            (self.many_parts, 20),
            (self.large_frames, 4),
            (self.garbage, 20),
            (self.cut_handshake, 20),
            (self.broken_frames, 20),
            (self.endless, 1),
            (self.huge_frame, 5),
            (self.odd_subscriber, 5),
        )
        kind = self.random.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
        with suppress(OSError, zmq.Again):
            kind()
        self.sent[kind.__name__] += 1

    # --- by ZeroMQ: whole messages --------------------------------------------------------------------------

    def _new_dealer(self) -> zmq.Socket[bytes]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.linger, dealer.sndtimeo, dealer.sndhwm, dealer.rcvhwm = 0, 2000, 200, 200
        dealer.connect(self.server.requests)
        return dealer

    def _send(self, frames: list[bytes]) -> None:
        self._since += 1
        if self._since > 2000:  # a connection ends with unread bytes
            self._dealer.close(0)
            self._dealer, self._since = self._new_dealer(), 0
        self._dealer.send_multipart(frames)
        with suppress(zmq.Again):
            while self.random.random() < 0.9:
                self._dealer.recv_multipart(zmq.NOBLOCK)

    def _bytes(self, most: int = 60) -> bytes:
        return self.random.randbytes(self.random.randrange(most))

    def _request(self) -> list[bytes]:
        body = self.random.choice(BODIES)
        packed = json.dumps(body).encode() if self.random.random() < 0.5 else msgpack.packb(body)
        mark = b"VP1J" if packed[:1] == b"{" else b"VP1M"
        return [mark, b"1", self.random.choice(VERBS), packed]

    def random_frames(self) -> None:
        """Frames of anything, some of them right."""
        choice = self.random.choice
        some = [
            choice((self._bytes(), b"", b"VP1J", b"VP1M", b"VP2J", *VERBS))
            for _ in range(choice(range(1, 9)))
        ]
        self._send(some)

    def mutated_request(self) -> None:
        """A request of which some bytes are others."""
        frames = self._request()
        for _ in range(self.random.randrange(1, 4)):
            index = self.random.randrange(len(frames))
            data = bytearray(frames[index] or b"\0")
            at = self.random.randrange(len(data))
            how = self.random.randrange(4)
            if how == 0:
                data[at] = self.random.randrange(256)
            elif how == 1:
                del data[at : at + self.random.randrange(1, 9)]
            elif how == 2:
                data[at:at] = self.random.randbytes(self.random.randrange(1, 9))
            else:
                data[at] ^= 1 << self.random.randrange(8)
            frames[index] = bytes(data)
        self._send(frames)

    def truncated_body(self) -> None:
        """A request that ends early."""
        frames = self._request()
        frames[3] = frames[3][: self.random.randrange(len(frames[3]))]
        self._send(frames if self.random.random() < 0.7 else frames[: self.random.randrange(1, 4)])

    def odd_values(self) -> None:
        """A request with values of wrong kinds in the right places."""
        odd: tuple[Any, ...] = (
            None,
            True,
            -1,
            2**63,
            1e308,
            "",
            "x" * 300,
            [],
            {},
            [[]],
            {"a": {}},
            "\x00",
            "job-",
        )
        body = dict(self.random.choice(BODIES))
        for key in list(body):
            if self.random.random() < 0.6:
                body[key] = self.random.choice(odd)
        if isinstance(body.get("story"), dict):
            body["story"] = {
                **body["story"],
                self.random.choice(("scenes", "id", "music", "x")): self.random.choice(odd),
            }
        self._send([b"VP1J", b"1", self.random.choice(VERBS), json.dumps(body).encode()])

    def bomb(self) -> None:
        """A body that is small on the wire and large or deep in memory."""
        count = self.random.choice((1000, 100_000, 1_000_000))
        head = struct.pack(">BI", 0xDD, count)
        mark, body = self.random.choice(
            (
                (b"VP1J", b"[" * count),
                (b"VP1J", b'{"story":' * (count // 10)),
                (b"VP1J", b"[" + b"[]," * count + b"0]"),
                (b"VP1J", b'{"limit":' + b"9" * count + b"}"),
                (b"VP1M", b"\x91" * count),
                (b"VP1M", head + b"\x90" * count),
                (b"VP1M", head + b"\x80" * count),
                (b"VP1M", b"\xdf\xff\xff\xff\xff" + b"\xa1a\xc0" * 10),
                (b"VP1M", b"\xc6\xff\xff\xff\xff"),
                (b"VP1M", b"\xc9\xff\xff\xff\xff\x01"),
            )
        )
        self._send([mark, b"1", self.random.choice(VERBS), body])

    def many_parts(self) -> None:
        """A request with far too many parts."""
        count = self.random.choice((65, 1000, 20_000))
        self._send([*self._request(), *[self._bytes(3)] * count])

    def large_frames(self) -> None:
        """A request with parts that are too large together."""
        self._send([*self._request(), *[b"x" * 2_000_000] * self.random.randrange(1, 4)])

    # --- hand-made connections -------------------------------------------------------------------------------

    def _raw(self, data: bytes, *, url: str | None = None) -> None:
        with socket.create_connection(address(url or self.server.requests), timeout=5) as sock:
            sock.sendall(data)
            if self.random.random() < 0.3:
                sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )  # ends in a reset

    def garbage(self) -> None:
        """Bytes that are no ZMTP."""
        self._raw(
            self.random.choice((self._bytes(4000), b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0" * 4000))
        )

    def cut_handshake(self) -> None:
        """A handshake that ends early, or of which a byte is another."""
        data = bytearray(GREETING + ready())
        if self.random.random() < 0.5:
            data[self.random.randrange(len(data))] = self.random.randrange(256)
        self._raw(bytes(data[: self.random.randrange(1, len(data) + 1)]))

    def broken_frames(self) -> None:
        """A good handshake, then frames that are none, requests in a heap, signs of life in odd places."""
        ping = frame(b"\x04PING\x00\x64" + self._bytes(20), command=True)
        request = b"".join(frame(part, more=index < 3) for index, part in enumerate(self._request()))
        pieces = (
            self._bytes(),
            ping,
            request,
            request * 300,
            frame(self._bytes(), more=True),
            b"\x04\x05ERROR",
        )
        data = b"".join(self.random.choice(pieces) for _ in range(self.random.randrange(1, 6)))
        self._raw(GREETING + ready(self.random.choice((b"DEALER", b"REQ", b"PUB", b"X" * 200))) + data)

    def endless(self) -> None:
        """A message without end."""
        data = frame(b"x" * self.random.choice((0, 1, 300, 60_000)), more=True)
        data *= max(1, 65_536 // len(data))
        with greeted(self.server.requests) as sock:
            sock.settimeout(0.5)
            for _ in range(self.random.choice((10, 100, 3000))):
                sock.sendall(data)

    def huge_frame(self) -> None:
        """A frame that says it is huge."""
        size = self.random.choice((4_000_000, 4_000_001, 1 << 31, (1 << 63) - 1, (1 << 64) - 1))
        self._raw(GREETING + ready() + b"\x03" + struct.pack(">Q", size) + self._bytes())

    def odd_subscriber(self) -> None:
        """A subscriber that says anything."""
        said = b"".join(frame(self._bytes(40), more=self.random.random() < 0.5) for _ in range(50))
        self._raw(GREETING + ready(b"SUB") + said, url=self.server.events)


class Steady:
    """A well-behaved client in another process: it sends a request, waits for the reply, pauses; one in ten is a submit."""

    def __init__(self, server: RunningServer) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._ours, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=_be_steady, args=(server.requests, server.process.pid, theirs), daemon=True
        )
        self._process.start()
        self._ours.recv()  # it has begun

    def result(self) -> tuple[dict[str, float], int, str | None]:
        """Stop it; return latencies, the largest memory of the server process that it saw, and its errors."""
        self._ours.send("stop")
        latencies, memory, failure = (
            self._ours.recv() if self._ours.poll(3 * ANSWER_SECONDS) else ([], 0, "stuck")
        )
        self._process.join(ANSWER_SECONDS)
        found = sorted(latencies) or [float("inf")]
        numbers = {
            "requests": len(latencies),
            "median_ms": round(statistics.median(found) * 1e3, 3),
            **{
                f"p{percent}_ms": round(found[min(len(found) - 1, len(found) * percent // 100)] * 1e3, 3)
                for percent in (90, 99)
            },
            "longest_ms": round(found[-1] * 1e3, 3),
        }
        return numbers, memory, failure


def _be_steady(url: str, pid: int, pipe: Connection) -> None:
    latencies: list[float] = []
    highest = 0
    failure = None
    pipe.send("begun")
    try:
        with Speaker(url, timeout=ANSWER_SECONDS) as speaker:
            while not pipe.poll(0.005):
                began = time.perf_counter()
                if len(latencies) % 10 == 0:
                    speaker.ask("submit", {"story": STORY, "key": f"steady-{id(pipe)}-{began}"})
                else:
                    speaker.ask("ping")
                latencies.append(time.perf_counter() - began)
                highest = max(highest, memory_of(pid))
    except Exception as error:
        failure = repr(error)
    pipe.send((latencies, highest, failure))


def run(folder: Path, *, messages: int, seed: int, idle_seconds: float, rate: float = 0) -> dict[str, Any]:
    """Flood a server process and return the measurements; `faults` is empty if every check passed."""
    config = node_config(folder, max_message_mb=4, max_queued=1_000_000, max_requests_per_second=1e6)
    with RunningServer(config) as server:
        with Speaker(server.requests) as speaker:
            speaker.ask("submit", {"story": STORY})
        before = server.memory
        idle = Steady(server)
        time.sleep(idle_seconds)
        calm, _, failure = idle.result()
        faults = [failure] if failure else []
        steady = Steady(server)
        fuzzer = Fuzzer(server, seed)
        began = time.monotonic()
        for number in range(messages):
            fuzzer.send_one()
            if server.process.poll() is not None:
                break
            if rate:
                time.sleep(max(0.0, began + number / rate - time.monotonic()))
        seconds = time.monotonic() - began
        flooded, highest, failure = steady.result()
        fuzzer.close()
        faults += [failure] if failure else []
        if server.process.poll() is not None:
            faults.append(f"the server process ended with status {server.process.poll()}")
        grown = highest - before
        if grown > MEMORY_BOUND:
            faults.append(f"the server process grew by {grown >> 20} MB")
        faults += [line.strip() for line in server.errors if "Error" in line and "Traceback" not in line][:5]
        counters = {} if faults else server.counters()
        return {
            "seed": seed,
            "messages": sum(fuzzer.sent.values()),
            "seconds": round(seconds, 1),
            "kinds": dict(fuzzer.sent),
            "idle": calm,
            "flooded": flooded,
            "grown_mb": grown >> 20,
            "grown_afterwards_mb": 0 if faults else (server.memory - before) >> 20,
            "internal_errors": counters.get("errors_INTERNAL", 0),
            "connections_ended": counters.get("connections_ended", 0),
            "faults": faults,
        }


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--rate", type=float, default=0, help="messages a second; 0: as many as go")
    parser.add_argument("--idle-seconds", type=float, default=5)
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        found = run(
            Path(folder),
            messages=arguments.messages,
            seed=arguments.seed,
            idle_seconds=arguments.idle_seconds,
            rate=arguments.rate,
        )
    print(json.dumps(found, indent=2))
    return 1 if found["faults"] or found["internal_errors"] else 0


if __name__ == "__main__":
    sys.exit(main())
