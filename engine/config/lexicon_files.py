"""A pronunciation lexicon in a file of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.config.sections import Tts
from video_pipeline.engine.errors import ConfigError


def read_lexicon(path: Path) -> dict[str, str]:
    """Return the words of a YAML or JSON file and how each is spoken, as `tts.lexicon` has them.

    Raises ConfigError that names the file and each wrong word.
    """
    try:
        data = read_document(path, "json" if path.suffix.lower() == ".json" else "yaml")
    except DocumentError as error:
        raise ConfigError(f"--lexicon: {error}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"--lexicon: {path}: got {type(data).__name__}; allowed: a mapping of words, such as `Nike: /ˈnaɪki/`"
        )
    try:
        return dict(Tts.model_validate({"lexicon": data}).lexicon)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Tts, where=f"--lexicon: {path}"))) from error
