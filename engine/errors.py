"""The errors of the engine.

PipelineError                  base of all; carries `details` for programs
├── InputError                 the caller's input is wrong: permanent, exit status 2
│   ├── StoryError             a story file or object
│   ├── ConfigError            configuration, environment or option
│   ├── AssetReferenceError    a job's path, inline part or URL that does not lead to an asset it may use
│   └── UnavailableError       a named encoder, compositor or service that this machine does not have
├── AssetError                 something a scene needs could not be found, made or read
│   ├── ImageGenerationError
│   ├── TTSError
│   └── FetchError             an asset's URL could not be read
└── RenderingError             composing, encoding or writing failed
    └── SubprocessError        with argv, exit status and the last lines of a child process
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal


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


class AssetReferenceError(InputError):
    """A job names an asset that it may not use, or that is not there; `field` and `value` say which."""

    def __init__(self, place: str, *, field: str, value: str, reason: str, allowed: str = "") -> None:
        shown = value if len(value) <= 200 else f"{value[:199]}…"
        shown = shown.encode("utf-8", "backslashreplace").decode()  # it may hold half of a surrogate pair
        message = f"{place}: got {shown!r}: {reason}" + (f"; allowed: {allowed}" if allowed else "")
        super().__init__(message, field=field, value=shown, allowed=allowed)
        self.field = field
        self.value = shown
        self.allowed = allowed


class UnavailableError(InputError):
    """An encoder, compositor or service was asked for by name and is not here."""


class AssetError(PipelineError):
    """A picture, clip, voice or sound that a scene needs failed."""


class ImageGenerationError(AssetError):
    """A scene's picture could not be made or read."""


class TTSError(AssetError):
    """A scene's narration could not be spoken."""


class FetchError(AssetError):
    """A URL could not be read. Of another attempt something can come only where `kind` is transient.

    transient: no answer, a broken one, or the server's own trouble. refused: a URL or address that is not
    allowed. unusable: the answer is whole, and is no asset (404, a web page, too large).
    """

    def __init__(self, message: str, *, url: str, kind: Literal["transient", "refused", "unusable"]) -> None:
        super().__init__(message, url=url, kind=kind, permanent=kind != "transient")
        self.url = url
        self.kind = kind


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
