"""Measure how fast the publisher for YouTube sends a file over loopback, beside a bare copy of the same file.

A process takes requests as a resumable upload does and drops the bytes. The bare copy is one socket, written in parts
of 1 MiB without a hash or a question in between. A file that is new, or has changed, is hashed while it is sent; one
that was hashed before and is unchanged is not. Each run has all three, in turn.

    python -m benchmarks.upload
    python -m benchmarks.upload --megabytes 2048 --runs 7
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import resource
import socket
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from video_pipeline.engine.config import load_config
from video_pipeline.engine.publish.accounts import AccountFiles, StoredAccount
from video_pipeline.engine.publish.base import Handle, Post
from video_pipeline.engine.publish.oauth import Grant, OauthApp
from video_pipeline.engine.publish.read_bytes import settled_mark
from video_pipeline.engine.publish.youtube import YoutubeCalls, youtube_calls

RUNS = 5
MEGABYTES = 1024
BARE_BYTES = 1 << 20


def _take_uploads(ready: Connection) -> None:
    """Answer uploads forever: each request's body is read and dropped."""
    server = socket.create_server(("127.0.0.1", 0))
    ready.send(server.getsockname()[1])
    buffer = memoryview(bytearray(1 << 20))
    held = 0
    while True:
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as file:
            while file.readline():
                headers = {}
                while (line := file.readline().strip().lower()) and b":" in line:
                    name, _, value = line.partition(b":")
                    headers[name] = value.strip()
                left = int(headers.get(b"content-length", b"0"))
                span, _, size = headers[b"content-range"].removeprefix(b"bytes ").partition(b"/")
                if span.startswith(b"0-"):
                    held = 0
                held += left
                while left:
                    left -= file.readinto(buffer[: min(left, len(buffer))])
                connection.sendall(_answer(held, int(size), is_question=span == b"*"))
                held = 0 if held == int(size) else held


def _answer(held: int, size: int, *, is_question: bool) -> bytes:
    if held == size and not is_question:
        body = b'{"id": "video"}'
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
    span = f"Range: bytes=0-{held - 1}\r\n" if held else ""
    return f"HTTP/1.1 308 Resume Incomplete\r\n{span}Content-Length: 0\r\n\r\n".encode()


def _bare_copy(port: int, video: Path, size: int) -> float:
    begin = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection, video.open("rb") as file:
        head = f"PUT / HTTP/1.1\r\nContent-Range: bytes 0-{size - 1}/{size}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode())
        while part := file.read(BARE_BYTES):
            connection.sendall(part)
        connection.recv(1000)
    return time.perf_counter() - begin


def _upload(calls: YoutubeCalls, post: Post, handle: Handle) -> float:
    begin = time.perf_counter()
    calls.send(post, handle, on_sent=lambda held, size: None)
    if calls.commit(post, handle) is None:
        raise RuntimeError("the upload was not taken")
    return time.perf_counter() - begin


def _calls(endpoint: str, folder: Path) -> YoutubeCalls:
    config = load_config(
        {
            "node": {"state_path": str(folder)},
            "publishing": {"accounts": {"youtube": {"default": {"endpoint": endpoint}}}},
        },
        environ=False,
    )
    app = OauthApp(client_id="a", client_secret="b", auth_uri="c", token_uri="d")
    grant = Grant(access_token="e", refresh_token="f", expires_at=time.time() + 86_400)
    AccountFiles.of(config).save("youtube", "default", StoredAccount(app=app, grant=grant, added_at=0.0))
    return youtube_calls(config, "default")


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description="Upload speed over loopback, beside a bare copy.")
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="size of the file in MiB")
    parser.add_argument("--runs", type=int, default=RUNS)
    arguments = parser.parse_args()
    size = arguments.megabytes << 20
    ours, told = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_take_uploads, args=(told,), daemon=True)
    server.start()
    endpoint = f"http://127.0.0.1:{ours.recv()}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video, digest = folder / "video.mp4", hashlib.sha256()
        part = bytes(range(256)) * 4096
        with video.open("wb") as file:
            for _ in range(arguments.megabytes):
                file.write(part)
                digest.update(part)
        post = Post(video=video, sha256=digest.hexdigest(), size=size, duration=60.0, title="Upload")
        time.sleep(2.1)
        known = post.model_copy(update={"mark": settled_mark(video, before_ns=time.time_ns())})
        handle = Handle(fields={"session": f"{endpoint}/session"})
        calls, port = _calls(endpoint, folder), urlsplit(endpoint).port or 0
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bare, hashed, sent = [], [], []
        for _ in range(arguments.runs):
            bare.append(_bare_copy(port, video, size))
            sent.append(_upload(calls, known, handle))
            hashed.append(_upload(calls, post, handle))
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    server.terminate()
    for title, seconds in (("bare copy", bare), ("publisher", sent), ("publisher, a new file", hashed)):
        rates = [size / each / 2**20 for each in seconds]
        shares = [100 * one / other for one, other in zip(bare, seconds, strict=True)]
        print(
            f"{title}: {median(rates):.0f} MiB/s ({min(rates):.0f} to {max(rates):.0f}), "
            f"{median(shares):.0f} % ({min(shares):.0f} to {max(shares):.0f}) of the bare copy"
        )
    print(f"memory grew by {grown:.0f} MiB")


if __name__ == "__main__":
    main()
