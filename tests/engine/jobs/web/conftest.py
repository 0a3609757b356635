"""A node with HTTP, for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.web import WebNode, web_config


@pytest.fixture(scope="module")
def web_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebNode]:
    config = web_config(tmp_path_factory.mktemp("node"), max_requests_per_second=1e6, operators=["chief"])
    with WebNode(config) as running:
        yield running


@pytest.fixture
def local(web_node: WebNode) -> Iterator[httpx.Client]:
    """A client without a token."""
    with web_node.client() as client:
        yield client
