"""What `doctor` says about speech services on the network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from video_pipeline.engine.assets.speech.chain import remote_services
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, ServiceError


def examine_speech(config: Config) -> dict[str, dict[str, Any]]:
    """Return which services on the network have an address and a key, and where these come from; nothing is sent."""
    found: dict[str, dict[str, Any]] = {}
    for service in remote_services():
        assert service.setup is not None
        try:
            found[service.name] = {"configured": True, "reason": service.setup(config.tts)}
        except (InputError, ServiceError) as error:
            found[service.name] = {
                "configured": False,
                "reason": str(error).removeprefix(f"{service.name}: "),
            }
    return found


def speech_lines(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each service."""
    return [
        f"speech        {'yes' if state['configured'] else 'no '} {name}: {state['reason']}"
        for name, state in services.items()
    ]
