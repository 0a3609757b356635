"""A server process and a client of it, for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.server import RunningServer, Speaker, node_config


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(node_config(tmp_path_factory.mktemp("node"), max_requests_per_second=1e6)) as process:
        yield process


@pytest.fixture(params=["json", "msgpack"])
def speaker(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Speaker]:
    with Speaker(server.requests, encoding=request.param) as one:
        yield one
