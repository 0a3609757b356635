"""The bytes in docs/protocol.md are those of a real node."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgpack
import zmq

from tests.support.server import ROOT, RunningServer, node_config
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.jobs.messages import ErrorCode
from video_pipeline.engine.jobs.verbs import REQUESTS
from video_pipeline.engine.jobs.views import PUBLIC_DETAILS

TEXT = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```(request|reply)\n(.*?)\n```", re.DOTALL)
ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def frames(text: str) -> list[bytes]:
    return [
        ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()), line)
        for line in text.encode().split(b"\n")
    ]


def pattern(expected: bytes, jobs: set[str]) -> re.Pattern[bytes]:
    """Return a pattern of a body: `$JOB` is one job throughout, `$N` is anything."""
    parts = [re.escape(part) for part in re.split(rb"\$N", expected)]
    job = "|".join(jobs).encode() or b"job-[0-9a-f]{24}"
    return re.compile(b'[^"]*'.join(parts).replace(re.escape(b"$JOB"), b"(" + job + b")"))


def test_every_example_is_answered_as_the_page_says(tmp_path: Path) -> None:
    blocks = [(kind, frames(text)) for kind, text in BLOCK.findall(TEXT)]
    assert [kind for kind, _ in blocks] == ["request", "reply"] * 7
    jobs: set[str] = set()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    with RunningServer(node_config(tmp_path)) as server, context.socket(zmq.DEALER) as sock:
        sock.linger, sock.rcvtimeo = 0, int(FAST_SECONDS * 1000)
        sock.connect(server.requests)
        for (_, request), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
            sock.send_multipart(request)
            reply = sock.recv_multipart()
            assert reply[:3] == expected[:3]
            found = pattern(expected[3], jobs).fullmatch(reply[3])
            assert found, f"{reply[3]!r}\n{expected[3]!r}"
            jobs |= {group.decode() for group in found.groups()}
            if expected[0] == b"VP1M":
                assert msgpack.unpackb(reply[3])["code"] == "BAD_REQUEST"
    context.destroy(0)
    assert len(jobs) == 1


def test_the_page_names_every_verb_error_and_public_detail() -> None:
    for name in (*REQUESTS, *get_args(ErrorCode), *PUBLIC_DETAILS):
        assert f"`{name}`" in TEXT, name
