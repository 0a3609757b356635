"""Before Ray starts on a machine: may it join, and do both sides run the same Ray? Imports Ray."""

from __future__ import annotations

import json
import platform
from typing import Any, Final

from video_pipeline.engine.fleet.answer_check import answer_trouble, tls_of_environment

CLOCK_NAMESPACE: Final = b"video-pipeline"
CLOCK_KEY: Final = b"clock"


class JoinError(Exception):
    """A machine cannot join; `for_good` if trying again does not help."""

    def __init__(self, reason: str, *, for_good: bool) -> None:
        super().__init__(reason)
        self.for_good = for_good


def open_client(address: str) -> Any:
    """Return a client of the server's Ray; raise JoinError. `address` is HOST:PORT; Ray's environment must be set."""
    from ray._raylet import GcsClient
    from ray.exceptions import AuthenticationError, RayError

    if trouble := answer_trouble(address, tls_of_environment()):
        raise JoinError(trouble, for_good=False)
    try:
        client = GcsClient(address=address)
        client.internal_kv_get(CLOCK_KEY, namespace=CLOCK_NAMESPACE)
    except AuthenticationError as error:
        raise JoinError(
            f"fleet.token_path: the server at {address} refuses this token; copy its token again",
            for_good=True,
        ) from error
    except (RayError, RuntimeError, OSError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise JoinError(
            f"fleet.address: Ray at {address} does not answer: {first[:300]}", for_good=False
        ) from error
    return client


def cluster_metadata(client: Any) -> bytes | None:
    """Return what Ray's control store knows of its fleet; None if the server is starting, or the store has lost its data."""
    found: bytes | None = client.internal_kv_get(b"CLUSTER_METADATA", namespace=b"cluster")
    return found


def check_versions(client: Any) -> None:
    """Raise JoinError if the server has another Ray or Python than this machine."""
    import ray

    found = cluster_metadata(client)
    if not found:
        raise JoinError("fleet.address: the server is still starting", for_good=False)
    known = json.loads(found)
    theirs, ours = str(known.get("ray_version")), ray.__version__
    if theirs != ours:
        raise JoinError(
            f"fleet: this machine has Ray {ours}, the server has Ray {theirs}; install the same: pip install ray=={theirs}",
            for_good=True,
        )
    server, here = str(known.get("python_version")), platform.python_version()
    if server.split(".")[:2] != here.split(".")[:2]:
        raise JoinError(
            f"fleet: this machine has Python {here}, the server has Python {server}; use the same minor version",
            for_good=True,
        )
