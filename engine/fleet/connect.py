"""A program's connection to a fleet: as a client that asks, or as the driver that starts tasks."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError, UnreachableError
from video_pipeline.engine.fleet.environment import ray_variables
from video_pipeline.engine.fleet.join_check import JoinError, check_versions, open_client
from video_pipeline.engine.fleet.settings import FleetSettings, check_ray, server_settings

RAY_NAMESPACE: Final = "video-pipeline"


def enter_fleet(settings: FleetSettings) -> None:
    """Give this process the token and certificates of a fleet, for all that it asks of Ray from now on.

    Raises UnavailableError without Ray. Ray reads its environment when it is imported or first used.
    """
    check_ray()
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        del os.environ[name]
    os.environ.update(ray_variables(settings))


def ask_fleet(settings: FleetSettings) -> Any:
    """Return a client of a fleet's server; raise ConfigError if it refuses, UnreachableError if it does not answer."""
    enter_fleet(settings)
    try:
        client = open_client(settings.address)
        check_versions(client)
    except JoinError as error:
        raise (ConfigError if error.for_good else UnreachableError)(str(error)) from error
    return client


def connect_driver(config: Config) -> Any:
    """Make this process the driver of the fleet that its own `serve --fleet` runs; return the module `ray`.

    The server's Ray must be ready. An earlier connection is given up first, so call it again after the local raylet has
    died (`ray.is_initialized()` does not tell). Raises ConfigError, UnavailableError, and UnreachableError if Ray does
    not answer.
    """
    settings = server_settings(config, config.state_dir().resolve())
    ask_fleet(settings)
    import ray

    with suppress(Exception):  # an earlier connection may be broken in any way
        ray.shutdown()
    try:
        ray.init(
            address=settings.address,
            namespace=RAY_NAMESPACE,
            log_to_driver=False,
            configure_logging=False,
            logging_level="ERROR",
            _node_ip_address=settings.bind,
            _temp_dir=str(settings.temp),
        )
    except (RuntimeError, ConnectionError, OSError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UnreachableError(f"fleet.address: no connection to {settings.address}: {first}") from error
    return ray


connect: Final = connect_driver
"""The same, by the name that dispatchers use."""
