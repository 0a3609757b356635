"""Assets read from URLs, with real servers on this machine."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support import samples
from tests.support.origin import certificate, origin, reply
from tests.support.ports import refusing_port
from tests.support.waiting import PROMPT_SECONDS
from video_pipeline.engine.assets.fetch import Fetcher, resolve
from video_pipeline.engine.config.sections import Node
from video_pipeline.engine.errors import FetchError
from video_pipeline.engine.net.addresses import Address, is_public

PICTURE = samples.picture()
HERE = ipaddress.ip_address("127.0.0.1")


def here(address: Address) -> bool:
    """Allow 127.0.0.1 only, in place of the public internet."""
    return address == HERE


def fetcher(**options: Any) -> Fetcher:
    given = {"max_bytes": 10**6, "max_total_bytes": 10**7, "timeout": 60.0, "allow": here}
    return Fetcher(**{**given, **options})


def failure(url: str, folder: Path, kind: Any = "picture", **options: Any) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetcher(**options)(url, folder, kind)
    assert list(folder.iterdir()) == [], "nothing half-written is left"
    return caught.value


def test_an_asset_is_read_whole_and_named_by_its_content(tmp_path: Path) -> None:
    with origin(reply(PICTURE, Content_Type="text/html")) as server:
        path = fetcher()(f"http://127.0.0.1:{server.port}/a.exe?x=1#y", tmp_path, "picture")
        again = fetcher()(f"http://127.0.0.1:{server.port}/a.exe?x=2", tmp_path, "picture")
    assert path.read_bytes() == PICTURE
    assert path.suffix == ".jpg"
    assert path.parent == tmp_path
    assert again != path
    head = server.heads[0].decode()
    assert head.startswith("GET /a.exe?x=1 HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n" in head
    assert "Accept-Encoding: identity" in head
    assert "Authorization" not in head
    assert "Cookie" not in head


def test_a_chunked_body_and_one_that_ends_with_the_connection_are_read(tmp_path: Path) -> None:
    half = len(PICTURE) // 2
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (PICTURE[:half], PICTURE[half:]))
    answers = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
    )
    for answer in answers:
        with origin(answer) as server:
            path = fetcher()(f"http://127.0.0.1:{server.port}/", tmp_path, "picture")
        assert path.read_bytes() == PICTURE


def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    with origin(reply(PICTURE)) as server:
        fetcher()(f"http://127.0.0.1:{server.port}/", tmp_path, "picture")


def test_without_leave_nothing_on_this_machine_is_read(tmp_path: Path) -> None:
    with origin(reply(PICTURE)) as server:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"):
            error = failure(f"http://{host}:{server.port}/", tmp_path, allow=is_public)
            assert error.kind == "refused"
    assert server.heads == []


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.2:{port}/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://[64:ff9b::7f00:1]:{port}/",
        "http://0.0.0.0:{port}/",
        "http://10.0.0.1/",
        "http://2130706434:{port}/",
        "http://0x7f000002:{port}/",
        "http://0177.0.0.1:{port}/",
        "http://127.1:{port}/",
        "//169.254.169.254/",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
        "http://user:word@127.0.0.1:{port}/",
        "http://127.0.0.1:25/",
        "gopher://127.0.0.1:{port}/_GET",
    ],
)
def test_a_redirect_is_judged_as_the_first_url_was(tmp_path: Path, target: str) -> None:
    def talk(wire: socket.socket, head: bytes) -> None:
        first = head.startswith(b"GET /start ")
        location = target.format(port=wire.getsockname()[1])
        wire.sendall(reply(status="302 Found", Location=location) if first else reply(PICTURE))

    with origin(talk) as server:
        error = failure(f"http://127.0.0.1:{server.port}/start", tmp_path)
    assert error.kind == "refused"
    assert len(server.heads) == 1


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
def test_redirects_are_followed(tmp_path: Path, status: str) -> None:
    def talk(wire: socket.socket, head: bytes) -> None:
        number = int(head.split()[1].strip(b"/") or 0)
        wire.sendall(reply(PICTURE) if number == 5 else reply(status=status, Location=f"/{number + 1}"))

    with origin(talk) as server:
        assert fetcher()(f"http://127.0.0.1:{server.port}/0", tmp_path, "picture").read_bytes() == PICTURE
    assert len(server.heads) == 6


def test_redirects_without_end_are_given_up(tmp_path: Path) -> None:
    with origin(reply(status="302 Found", Location="/again")) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path)
    assert error.kind == "unusable"
    assert "more than 5 times" in str(error)
    assert len(server.heads) == 6


def test_a_redirect_to_nowhere_is_no_asset(tmp_path: Path) -> None:
    with origin(reply(status="302 Found")) as server:
        assert failure(f"http://127.0.0.1:{server.port}/", tmp_path).kind == "unusable"


def test_a_name_is_resolved_once_and_the_checked_address_is_connected_to(
    tmp_path: Path,
) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return (ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "127.0.0.2"),)

    with origin(reply(PICTURE)) as server:
        fetcher(resolver=rebinding)(f"http://asset.example:{server.port}/", tmp_path, "picture")
    assert asked == ["asset.example"]
    assert f"Host: asset.example:{server.port}\r\n".encode() in server.heads[0]


def test_the_address_of_a_name_is_checked_again_after_a_redirect(tmp_path: Path) -> None:
    asked: list[str] = []

    def rebinding(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return (ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "169.254.169.254"),)

    with origin(reply(status="302 Found", Location="/two")) as server:
        error = failure(f"http://asset.example:{server.port}/", tmp_path, resolver=rebinding)
    assert error.kind == "refused"
    assert "169.254.169.254" in str(error)


def test_one_bad_address_among_good_ones_refuses_the_name(tmp_path: Path) -> None:
    def mixed(host: str, port: int) -> Sequence[Address]:
        return (HERE, ipaddress.ip_address("192.168.0.1"))

    with origin(reply(PICTURE)) as server:
        error = failure(f"http://asset.example:{server.port}/", tmp_path, resolver=mixed)
    assert error.kind == "refused"
    assert server.heads == []


def test_the_next_address_is_tried_if_one_does_not_answer(tmp_path: Path) -> None:
    def two(host: str, port: int) -> Sequence[Address]:
        return (ipaddress.ip_address("127.0.0.3"), HERE)

    with origin(reply(PICTURE)) as server:
        allow = fetcher(resolver=two, allow=lambda address: address.is_loopback)
        assert allow(f"http://asset.example:{server.port}/", tmp_path, "picture").exists()


def test_a_name_that_does_not_exist_may_be_tried_again(tmp_path: Path) -> None:
    def unknown(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    error = failure("http://asset.example/", tmp_path, resolver=unknown)
    assert error.kind == "transient"
    assert "Temporary failure" in str(error)


def test_a_resolver_that_never_answers_has_the_same_time(tmp_path: Path) -> None:
    stop = threading.Event()

    def stuck(host: str, port: int) -> Sequence[Address]:
        stop.wait(60)
        return ()

    started = time.monotonic()
    try:
        assert failure("http://asset.example/", tmp_path, resolver=stuck, timeout=0.3).kind == "transient"
    finally:
        stop.set()
    assert time.monotonic() - started < PROMPT_SECONDS


def test_this_machine_is_known_by_name() -> None:
    assert HERE in resolve("localhost", 80)


def test_a_refused_connection_may_be_retried(tmp_path: Path) -> None:
    with refusing_port() as port:
        assert failure(f"http://127.0.0.1:{port}/", tmp_path).kind == "transient"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", "unusable"),
        ("403 Forbidden", "unusable"),
        ("204 No Content", "unusable"),
        ("206 Partial Content", "unusable"),
        ("304 Not Modified", "unusable"),
        ("408 Request Timeout", "transient"),
        ("429 Too Many Requests", "transient"),
        ("500 Internal Server Error", "transient"),
        ("503 Service Unavailable", "transient"),
    ],
)
def test_other_statuses_are_errors(tmp_path: Path, status: str, kind: str) -> None:
    with origin(reply(PICTURE, status=status)) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path)
    assert error.kind == kind
    assert status[:3] in str(error)


def _endless(data: bytes, pause: float = 0.0) -> Any:
    def talk(wire: socket.socket, head: bytes) -> None:
        while True:
            wire.sendall(data)
            time.sleep(pause)

    return talk


OPEN = b"HTTP/1.1 200 OK\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "head", [OPEN, CHUNKED + b"-1\r\n", CHUNKED + b"ffffffffff\r\n"], ids=["plain", "-1", "huge"]
)
def test_a_body_without_end_is_cut_off(tmp_path: Path, head: bytes) -> None:
    sent = threading.Event()

    def talk(wire: socket.socket, request: bytes) -> None:
        wire.sendall(head + PICTURE)
        sent.set()
        while True:
            wire.sendall(b"x" * 65536)

    tracemalloc.start()
    with origin(talk) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path, max_bytes=5 * 10**6)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 10**6
    assert error.kind in ("unusable", "transient")
    assert sent.is_set()


def test_a_download_that_is_no_asset_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent: list[int] = []

    def talk(wire: socket.socket, head: bytes) -> None:
        wire.sendall(reply(status="200 OK", Content_Length=9 * 10**8))
        while True:
            wire.sendall(b"#EXTM3U\n" * 8192)
            sent.append(65536)

    with origin(talk) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path, max_bytes=10**9, max_total_bytes=10**9)
    assert "not a known format" in str(error)
    assert sum(sent) < 10**8


def test_a_length_that_is_too_large_is_refused_by_its_header(tmp_path: Path) -> None:
    with origin(reply(PICTURE, Content_Length=10**12)) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path)
    assert error.kind == "unusable"
    assert "at most 1 MB (node.asset_max_mb)" in str(error)


def test_all_assets_of_a_job_have_a_limit(tmp_path: Path) -> None:
    fetch = fetcher(max_total_bytes=len(PICTURE) * 5 // 2)
    with origin(reply(PICTURE)) as server:
        for number in range(2):
            fetch(f"http://127.0.0.1:{server.port}/{number}", tmp_path, "picture")
        with pytest.raises(FetchError, match="assets_max_mb"):
            fetch(f"http://127.0.0.1:{server.port}/3", tmp_path, "picture")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_body_that_ends_too_soon_may_be_tried_again(tmp_path: Path) -> None:
    answers = (
        reply(PICTURE, Content_Length=len(PICTURE) + 1),
        CHUNKED + b"%x\r\n" % (len(PICTURE) + 1) + PICTURE,
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"",
        b"no HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        CHUNKED + b"zz\r\n",
    )
    for answer in answers:
        with origin(answer) as server:
            assert failure(f"http://127.0.0.1:{server.port}/", tmp_path).kind == "transient", answer[:80]


def test_more_than_was_announced_is_left_unread(tmp_path: Path) -> None:
    with origin(reply(PICTURE) + b"<script>") as server:
        assert fetcher()(f"http://127.0.0.1:{server.port}/", tmp_path, "picture").read_bytes() == PICTURE


@pytest.mark.parametrize(
    "before",
    [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + PICTURE[:9]],
    ids=["no answer", "in the head", "in the body"],
)
def test_a_server_that_stops_sending_is_a_transient_failure(tmp_path: Path, before: bytes) -> None:
    done = threading.Event()

    def talk(wire: socket.socket, head: bytes) -> None:
        wire.sendall(before)
        done.wait(60)

    started = time.monotonic()
    with origin(talk) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path, idle=0.3)
        done.set()
    assert error.kind == "transient"
    assert "took too long" in str(error)
    assert time.monotonic() - started < PROMPT_SECONDS


@pytest.mark.parametrize(
    "drip",
    [b"x", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE[:4]],
    ids=["letters", "continue", "body"],
)
def test_a_server_that_drips_has_the_time_of_all(tmp_path: Path, drip: bytes) -> None:
    started = time.monotonic()
    with origin(_endless(drip, 0.05)) as server:
        error = failure(f"http://127.0.0.1:{server.port}/", tmp_path, idle=60, timeout=0.6)
    assert error.kind == "transient"
    assert 0.5 < time.monotonic() - started < PROMPT_SECONDS


def test_compressed_bodies_are_not_unpacked(tmp_path: Path) -> None:
    bomb = zlib.compress(bytes(10**7), 9)
    for encoding in ("gzip", "deflate", "br", "identity, gzip"):
        with origin(reply(bomb, Content_Encoding=encoding)) as server:
            error = failure(f"http://127.0.0.1:{server.port}/", tmp_path)
        assert error.kind == "unusable"
        assert "Content-Encoding" in str(error)
    with origin(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n" + bomb) as server:
        assert failure(f"http://127.0.0.1:{server.port}/", tmp_path).kind == "unusable"


@pytest.mark.parametrize(
    "body",
    [
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"<MPD xmlns='urn:mpeg:dash:schema:mpd:2011'></MPD>",
        b"<html><svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg></html>",
        b"<!DOCTYPE html><title>404</title>",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
        b"\0\0\1\0" + bytes(100),
        b"",
        samples.clip(),
    ],
    ids=["hls", "dash", "svg", "html", "ffconcat", "icon", "empty", "mp4"],
)
def test_a_download_that_only_claims_to_be_a_picture_is_refused(tmp_path: Path, body: bytes) -> None:
    with origin(reply(body, Content_Type="image/jpeg")) as server:
        error = failure(f"http://127.0.0.1:{server.port}/a.jpg", tmp_path)
    assert error.kind == "unusable"
    assert "allowed: JPEG, PNG, WebP" in str(error)


def test_clips_sounds_and_fonts_are_accepted_in_their_fields(tmp_path: Path) -> None:
    for kind, body in (
        ("video", samples.clip(".webm")),
        ("sound", samples.sound(".mp3")),
        ("font", samples.font().read_bytes()),
    ):
        with origin(reply(body)) as server:
            assert fetcher()(f"http://127.0.0.1:{server.port}/", tmp_path, kind).read_bytes() == body  # type: ignore[arg-type]
            failure_kind = "sound" if kind == "font" else "font"
            with pytest.raises(FetchError, match="allowed: "):
                fetcher()(f"http://127.0.0.1:{server.port}/", tmp_path, failure_kind)  # type: ignore[arg-type]


def _tls(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server with a certificate for a name and of a client that trusts it."""
    folder.mkdir(exist_ok=True)
    paths = certificate(folder, name)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*paths)
    return server, ssl.create_default_context(cafile=str(paths[0]))


def _at_home(host: str, port: int) -> Sequence[Address]:
    return (HERE,)


def test_tls_is_checked_for_the_name(tmp_path: Path) -> None:
    server_context, client_context = _tls(tmp_path / "keys", "asset.example")
    folder = tmp_path / "to"
    folder.mkdir()
    with origin(reply(PICTURE), context=server_context) as server:
        fetch = fetcher(resolver=_at_home, context=client_context)
        assert fetch(f"https://asset.example:{server.port}/", folder, "picture").read_bytes() == PICTURE
        for path in folder.iterdir():
            path.unlink()
        url = f"https://other.example:{server.port}/"
        error = failure(url, folder, resolver=_at_home, context=client_context)
        assert error.kind == "unusable"
        assert "certificate" in str(error)
        # By default only the system's authorities are trusted, and this certificate is self-signed.
        error = failure(f"https://asset.example:{server.port}/", folder, resolver=_at_home)
        assert error.kind == "unusable"
        assert "certificate" in str(error)


def test_a_redirect_out_of_tls_is_refused(tmp_path: Path) -> None:
    server_context, client_context = _tls(tmp_path / "keys", "asset.example")
    folder = tmp_path / "to"
    folder.mkdir()
    with origin(reply(PICTURE)) as plain:
        away = reply(status="302 Found", Location=f"http://asset.example:{plain.port}/")
        with origin(away, context=server_context) as server:
            url = f"https://asset.example:{server.port}/"
            error = failure(url, folder, resolver=_at_home, context=client_context)
    assert error.kind == "refused"
    assert plain.heads == []


def test_a_handshake_that_never_ends_has_its_time(tmp_path: Path) -> None:
    with origin(_endless(b"", 0.05)) as server:
        error = failure(f"https://asset.example:{server.port}/", tmp_path, resolver=_at_home, timeout=0.5)
    assert error.kind == "transient"


def test_a_node_gives_its_limits(tmp_path: Path) -> None:
    fetch = Fetcher.of(Node(asset_max_mb=0.0001, fetch_timeout=1))
    with pytest.raises(FetchError, match="public internet"):
        fetch("http://127.0.0.1/", tmp_path, "picture")
