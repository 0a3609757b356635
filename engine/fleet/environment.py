"""The environment of Ray's processes: who may join, encryption, when a machine counts as lost, small logs.

Ray has no other way to say most of this. Variables of the caller that begin with RAY_ are left out, so that a shell's
leftovers change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from video_pipeline.engine.fleet.settings import FleetSettings

LOG_BYTES: Final = 5_000_000
"""Size from which a log of Ray is rotated; one older file is kept."""

CONNECT_SECONDS: Final = 10
START_SECONDS: Final = 120
"""How long each of Ray's programs may take to start; its defaults are too short for a busy machine."""

RECONNECT_SECONDS: Final = 300
"""How long a machine waits for a server that is gone before its Ray ends and is started again."""


def ray_environment(settings: FleetSettings, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for Ray's processes, on any machine and for a driver."""
    kept = {name: value for name, value in environ.items() if not name.startswith("RAY_")}
    return {**kept, **ray_variables(settings)}


def ray_variables(settings: FleetSettings) -> dict[str, str]:
    """Return the variables that Ray reads.

    A silent machine counts as lost after about `lease` seconds: three checks fail, each a second after the one before.
    """
    timeout = max(1.0, settings.lease / 3 - 1)
    keepalive = max(1.0, settings.lease / 3)
    numbers = {
        "health_check_initial_delay_ms": 5000,
        "health_check_period_ms": 1000,
        "health_check_timeout_ms": int(timeout * 1000),
        "health_check_failure_threshold": 3,
        "grpc_keepalive_time_ms": int(keepalive * 1000),
        "grpc_keepalive_timeout_ms": int(keepalive * 1000),
        "grpc_client_keepalive_time_ms": int(keepalive * 1000),
        "grpc_client_keepalive_timeout_ms": int(keepalive * 1000),
        "gcs_rpc_server_reconnect_timeout_s": RECONNECT_SECONDS,
        "gcs_rpc_server_connect_timeout_s": CONNECT_SECONDS,
        "agent_register_timeout_ms": START_SECONDS * 1000,
        "worker_register_timeout_seconds": START_SECONDS,
        "raylet_start_wait_time_s": START_SECONDS,
        "task_events_report_interval_ms": 0,  # nobody reads them
        "log_rotation_max_bytes": LOG_BYTES,
        "log_rotation_backup_count": 1,
    }
    variables = {f"RAY_{name}": str(value) for name, value in numbers.items()}
    variables |= {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(settings.token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ROTATION_MAX_BYTES": str(LOG_BYTES),
        "RAY_ROTATION_BACKUP_COUNT": "1",
        # The engine itself chooses the GPU on which an encoder's session opens.
        "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }
    if settings.tls is not None:
        variables |= {
            "RAY_USE_TLS": "1",
            "RAY_TLS_SERVER_CERT": str(settings.tls.certificate),
            "RAY_TLS_SERVER_KEY": str(settings.tls.key),
            "RAY_TLS_CA_CERT": str(settings.tls.authority),
        }
    return variables
