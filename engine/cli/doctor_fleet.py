"""The part of `doctor` about rendering with other machines."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from typing import Any

from video_pipeline.engine.common.extras import install_extra
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.fleet.settings import client_settings


def examine_fleet(config: Config) -> dict[str, Any]:
    """Return whether this machine can be in a fleet, where that is, and what is wrong with its settings."""
    fleet = config.fleet
    found: dict[str, Any] = {
        "ray": version("ray") if importlib.util.find_spec("ray") else None,
        "address": None,
        "bind": None,
        "encrypted": fleet.tls_cert is not None,
        "problem": None,
    }
    if found["ray"] is None or not (fleet.address or fleet.bind):
        return found
    try:
        settings = client_settings(config, config.state_dir().resolve())
    except InputError as error:
        found["problem"] = str(error)
    else:
        found |= {"address": settings.address, "bind": settings.bind}
    return found


def fleet_line(found: dict[str, Any]) -> str:
    """Return the line of the report."""
    if found["ray"] is None:
        return f"fleet         no  Ray is not installed: {install_extra('fleet')}"
    if found["problem"]:
        return f"fleet         no  {found['problem']}"
    if found["address"] is None:
        return f"fleet         off (Ray {found['ray']}); fleet.bind with serve --fleet, or worker --join, turns it on"
    kind = "encrypted" if found["encrypted"] else "not encrypted"
    return f"fleet         yes {found['address']} from {found['bind']}, {kind}, Ray {found['ray']}"
