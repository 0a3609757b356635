"""Fixtures of all tests; none uses the user's cache."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.cuda_build import built_kernels
from tests.support.emulator import EmulatedDriver, NotBuiltError, build
from tests.support.forks import ForkServer
from tests.support.order import order


def pytest_configure() -> None:
    """Take Ctrl-C as a terminal gives it: a run begun with `&` in a script ignores it, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says how busy the machine is.
    settings.register_profile(
        "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
    )
    settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the files that load a machine apart, if files run side by side."""
    if hasattr(config, "workerinput"):
        order(items)


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder shared by the whole run, so that one background is drawn once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("VIDEO_OUTPUT_PATH", "MAX_CONCURRENT_JOBS", "REDIS_URL", "VIDEO_PIPELINE_FFMPEG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("CACHE_PATH", str(session_cache))


@pytest.fixture(scope="session")
def driver_libraries() -> Path:
    """The folder of the emulated driver's libraries, built at first use."""
    try:
        return build()
    except NotBuiltError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def cuda_kernels() -> Path:
    """The library that runs the CUDA kernels on the CPU, built once for each content of the sources."""
    return built_kernels()


@pytest.fixture(scope="session")
def driver_forks(driver_libraries: Path) -> Iterator[ForkServer]:
    """The process on the emulated machine that forks for each Python program."""
    forks = ForkServer({**os.environ, "LD_LIBRARY_PATH": str(driver_libraries)})
    yield forks
    forks.close()


@pytest.fixture
def driver(driver_libraries: Path, driver_forks: ForkServer, tmp_path: Path) -> EmulatedDriver:
    """An emulated machine with NVIDIA GPUs, for child processes."""
    state = tmp_path / "emulated"
    state.mkdir()
    return EmulatedDriver(driver_libraries, state, driver_forks)
