"""What `doctor` says about services on the network, for speech and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args

from video_pipeline.engine.assets.images.chain import OFFLINE, remote_image_services
from video_pipeline.engine.assets.speech.chain import remote_services
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.pictures import PictureStyle
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import InputError, ServiceError
from video_pipeline.engine.story.motifs import MOTIFS
from video_pipeline.engine.story.motifs.meaning import has_encoder

Settings = TypeVar("Settings")


def examine_speech(config: Config) -> dict[str, dict[str, Any]]:
    """Return which speech services have an address and a key, and where these come from; nothing is sent."""
    return {service.name: _examined(service.name, service.setup, config.tts) for service in remote_services()}


def examine_pictures(config: Config) -> dict[str, dict[str, Any]]:
    """Return the same of image services, and what can be drawn without one."""
    styles = len(get_args(PictureStyle))
    meaning = "on" if config.images.meaning else "off"
    if not has_encoder():
        meaning += f", {the_extra('meaning')} is not installed"
    drawn = (
        f"{len(MOTIFS)} motifs, {styles} styles (images.style: {config.images.style}); offline; "
        f"images.meaning: {meaning}"
    )
    return {OFFLINE: {"configured": True, "reason": drawn}} | {
        service.name: _examined(service.name, service.setup, config.images)
        for service in remote_image_services()
    }


def _examined(name: str, setup: Callable[[Settings], str] | None, settings: Settings) -> dict[str, Any]:
    assert setup is not None
    try:
        return {"configured": True, "reason": setup(settings)}
    except (InputError, ServiceError) as error:
        return {"configured": False, "reason": str(error).removeprefix(f"{name}: ")}


def service_lines(kind: str, services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each service of a kind."""
    return [
        f"{kind:<14}{'yes' if state['configured'] else 'no '} {name}: {state['reason']}"
        for name, state in services.items()
    ]
