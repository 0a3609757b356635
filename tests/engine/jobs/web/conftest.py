"""A node with HTTP, for the tests of this package."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.web import WebNode, web_config

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from tests.support.browser import chromium  # needs playwright

    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebNode]:
    config = web_config(
        tmp_path_factory.mktemp("page"),
        {"port": free_port()},  # the same one after a restart
        max_requests_per_second=1e6,
        max_queued=20_000,
        operators=["chief"],
    )
    with WebNode(config) as running:
        yield running


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    from tests.support.browser import page_of

    with page_of(browser) as opened:
        yield opened
