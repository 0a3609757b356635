"""Keys of services: read from the environment or a file, and kept out of every text."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from video_pipeline.engine.errors import ConfigError

HIDDEN = "***"
MAX_CHARACTERS = 16_384
"""A longer file is no key."""


class Secret:
    """A key or password. As text it is only where it comes from; it cannot be pickled."""

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str) -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the key itself, for the header of a request."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.origin})"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled")


def hide_secrets(text: str, secrets: Iterable[Secret]) -> str:
    """Return a text without the secrets that it quotes."""
    for secret in secrets:
        value = secret.reveal()
        for form in {value, quote(value, safe="")}:
            text = text.replace(form, HIDDEN)
    return text


def find_secret(
    key: str, *, file: Path | None, variables: Sequence[str], environ: Mapping[str, str] = os.environ
) -> Secret | None:
    """Return a service's key from its file or the first variable that is set, or None.

    `key` is the configuration key that names the file. Raises ConfigError for a file that cannot be read, and for a
    key that no header can carry; the key itself is not shown.
    """
    if file is not None:
        try:
            with file.expanduser().open(encoding="utf-8") as opened:
                value = opened.read(MAX_CHARACTERS + 1)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ConfigError(f"{key}: {file} cannot be read: {why}") from None
        return _checked_secret(value, f"file {file}", key)
    for variable in variables:
        if value := environ.get(variable, ""):
            return _checked_secret(
                value, f"environment variable {variable}", f"environment variable {variable}"
            )
    return None


def typed_secret(value: str, what: str) -> Secret:
    """Return a key that a person typed; raise ConfigError if no header can carry it."""
    return _checked_secret(value, "what was typed", what)


def _checked_secret(value: str, origin: str, place: str) -> Secret:
    value = value.strip()
    if not value:
        raise ConfigError(f"{place}: {origin} is empty; it must hold the key")
    if len(value) > MAX_CHARACTERS or not all("!" <= character <= "~" for character in value):
        raise ConfigError(f"{place}: {origin} does not hold a key: one line of ASCII without spaces")
    return Secret(value, origin)
