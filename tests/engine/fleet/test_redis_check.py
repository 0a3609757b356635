"""The Redis behind a fleet's server: its URL, and whether a real one answers."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.ports import free_port, refusing_port
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.fleet.redis_check import RedisPlace, RedisTrouble, parse_redis_url, redis_trouble

PASSWORD = "not-a-real-password"


def trouble_at(place: RedisPlace) -> RedisTrouble | None:
    return redis_trouble(place, seconds=FAST_SECONDS)


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs the program redis-server")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), "--save", ""]
    process = subprocess.Popen([program, *options, "--requirepass", PASSWORD], stdout=subprocess.DEVNULL)
    try:
        place = RedisPlace("127.0.0.1", port, False, password=PASSWORD)
        wait_until(lambda: trouble_at(place) is None, what="Redis")
        yield port
    finally:
        process.kill()
        process.wait()


def test_a_url_names_place_encryption_and_login() -> None:
    place = parse_redis_url("rediss://me:p%40ss@redis.example:6400/0")
    assert place == RedisPlace("redis.example", 6400, True, "me", "p@ss")
    assert place.address == "rediss://redis.example:6400"
    assert "p@ss" not in repr(place)
    assert parse_redis_url("redis://redis:6379") == RedisPlace("redis", 6379, False)


@pytest.mark.parametrize(
    "url", ["redis", "http://redis:6379", "redis://", "redis://redis/3", "redis://:secret@redis:port"]
)
def test_another_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"processing\.redis_url: .*allowed: redis://") as caught:
        parse_redis_url(url)
    assert "secret" not in str(caught.value)


def test_a_redis_that_is_gone_or_refuses_is_named_without_its_password(redis_port: int) -> None:
    here = parse_redis_url(f"redis://:{PASSWORD}@127.0.0.1:{redis_port}")
    assert trouble_at(here) is None
    wrong = trouble_at(parse_redis_url(f"redis://:another@127.0.0.1:{redis_port}"))
    assert wrong is not None
    assert wrong.reason.startswith(f"Redis at 127.0.0.1:{redis_port} refuses AUTH: WRONGPASS")
    assert wrong.for_good
    assert "another" not in wrong.reason
    without = trouble_at(parse_redis_url(f"redis://127.0.0.1:{redis_port}"))
    assert without is not None
    assert without.for_good
    assert "refuses PING: NOAUTH" in without.reason
    with refusing_port() as port:
        gone = trouble_at(RedisPlace("127.0.0.1", port, False))
    assert gone is not None
    assert not gone.for_good
    assert "does not answer: Connection refused" in gone.reason


def test_a_redis_without_tls_and_a_program_that_is_none_are_named(redis_port: int) -> None:
    encrypted = redis_trouble(parse_redis_url(f"rediss://:{PASSWORD}@127.0.0.1:{redis_port}"), seconds=0.5)
    assert encrypted == RedisTrouble(
        f"Redis at 127.0.0.1:{redis_port} does not answer with TLS, which rediss:// asks for"
    )
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        found = trouble_at(RedisPlace("127.0.0.1", server.server_port, False))
        assert found == RedisTrouble(
            f"127.0.0.1:{server.server_port} does not answer as Redis does; another program has the port"
        )


def test_a_redis_that_still_loads_its_data_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(512)
                connection.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        trouble = trouble_at(RedisPlace("127.0.0.1", server.getsockname()[1], False))
        thread.join()
    assert trouble is not None
    assert "refuses PING: LOADING" in trouble.reason
    assert not trouble.for_good
