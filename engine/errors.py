"""The errors of the engine.

PipelineError                  base of all; carries `details` for programs
├── InputError                 the caller's input is wrong: permanent, exit status 2
│   ├── StoryError             a story file or object
│   ├── ConfigError            configuration, environment or option
│   └── UnavailableError       a named encoder, compositor or service that this machine does not have
├── AssetError                 something a scene needs could not be found, made or read
│   ├── ImageGenerationError
│   └── TTSError
└── RenderingError             composing, encoding or writing failed
    └── SubprocessError        with argv, exit status and the last lines of a child process
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class PipelineError(Exception):
    """Base of every error that the engine raises on purpose."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class InputError(PipelineError):
    """The input is wrong and stays wrong: never retried."""


class StoryError(InputError):
    """A story names something that cannot be rendered."""


class ConfigError(InputError):
    """A configuration key, environment variable or option is wrong."""


class UnavailableError(InputError):
    """An encoder, compositor or service was asked for by name and is not here."""


class AssetError(PipelineError):
    """A picture, clip, voice or sound that a scene needs failed."""


class ImageGenerationError(AssetError):
    """A scene's picture could not be made or read."""


class TTSError(AssetError):
    """A scene's narration could not be spoken."""


class RenderingError(PipelineError):
    """The video could not be composed, encoded or written."""


class CancelledError(RenderingError):
    """The render was asked to stop."""


class SubprocessError(RenderingError):
    """A child process failed; the message ends with its last lines."""

    def __init__(self, what: str, *, argv: Sequence[str], returncode: int, stderr: str) -> None:
        tail = [line for line in stderr.strip().splitlines() if line.strip()][-12:]
        message = f"{what}: {argv[0]} ended with status {returncode}"
        if tail:
            message += "\n  " + "\n  ".join(tail)
        super().__init__(message, argv=list(argv), returncode=returncode, stderr_tail=tail)
