"""What a machine offers to a fleet, in Ray's words: slots, memory, GPUs, NVENC sessions, and what makes its bytes.

One CPU of Ray is one job slot. A task asks for `NVENC` if it opens encoder sessions on a GPU, else for `PLAIN`, and for the labels
`VERSION_LABEL` (the engine's version) or `IDENTITY_LABEL` (all that a segment's bytes depend on but its plan).
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass, field
from typing import Any, Final

import PIL

from video_pipeline.engine import __version__
from video_pipeline.engine.common.cache import key_of
from video_pipeline.engine.config import Config
from video_pipeline.engine.machine.ffmpeg_program import find_ffmpeg
from video_pipeline.engine.render.compositors import native
from video_pipeline.engine.render.compositors.choice import choose_compositor
from video_pipeline.engine.render.compositors.graded_clips import GRADING_VERSION
from video_pipeline.engine.render.encoders.choice import choose_encoding
from video_pipeline.engine.render.segment_key import FORMAT, encoding_versions

NVENC: Final = "nvenc"
"""Resource: NVENC sessions that the machine's GPUs can have open at once."""

PLAIN: Final = "plain"
"""Resource: slots of the machine beyond its sessions, so that no slot without a session takes the place of one with."""

VERSION_LABEL: Final = "video-pipeline/version"
IDENTITY_LABEL: Final = "video-pipeline/identity"
CORES_LABEL: Final = "video-pipeline/cores"
"""Cores of each slot."""
SESSIONS_LABEL: Final = "video-pipeline/sessions"
"""NVENC sessions of each slot that asks for any."""

IDENTITY_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class MachineOffer:
    """What one machine offers. `memory_bytes` and `nvenc` are for all its slots together.

    `cores` are those of each slot, `sessions` the NVENC sessions of each that asks for any.
    """

    slots: int
    cores: int
    memory_bytes: int
    gpus: int = 0
    nvenc: int = 0
    sessions: int = 0
    version: str = field(default_factory=lambda: label_value(__version__))
    identity: str = ""
    name: str = field(default_factory=platform.node)

    def resources(self) -> dict[str, float]:
        """Return the custom resources of Ray."""
        found = {NVENC: float(self.nvenc), PLAIN: float(max(0, self.slots - self.nvenc))}
        return {name: amount for name, amount in found.items() if amount}

    def labels(self) -> dict[str, str]:
        """Return the labels of Ray."""
        return {
            VERSION_LABEL: self.version,
            IDENTITY_LABEL: self.identity,
            CORES_LABEL: str(self.cores),
            SESSIONS_LABEL: str(self.sessions),
        }


def label_value(text: str) -> str:
    """Return a text as the value of a label: letters, digits, `-`, `_` and `.`, 63 at most."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", text)[:63].strip("-_.")


def bytes_identity(config: Config) -> str:
    """Return the identity, in hex, of all that a segment's bytes depend on but its plan and configuration.

    Machines with the same identity draw and encode the same bytes. Raises InputError if this one cannot render.
    """
    encoder = choose_encoding(config.video, session_wait=0).settings.encoder
    compositor = choose_compositor(config).name
    parts: dict[str, Any] = {
        "version": __version__,
        "format": FORMAT,
        "compositor": "native" if compositor == "cuda" else compositor,  # they draw the same bytes
        "native": [native.FORMAT, GRADING_VERSION],
        "pillow": PIL.__version__,
        "ffmpeg": find_ffmpeg().version,
        "encoder": [encoder, encoding_versions(encoder)],
    }
    return key_of(parts)[:IDENTITY_CHARACTERS]


NOTHING: Final = MachineOffer(slots=0, cores=1, memory_bytes=1 << 30)
"""The offer of a server, which renders nothing itself."""
