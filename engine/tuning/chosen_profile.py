"""Make a profile of the settings that an answer has, with the run as its evidence."""

from __future__ import annotations

import hashlib
import os
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.config.profiles import Evidence, Profile
from video_pipeline.engine.errors import ConfigError, InputError
from video_pipeline.engine.render.compositors.native import MAX_SEGMENT_SECONDS
from video_pipeline.engine.tuning.records import Trial
from video_pipeline.engine.tuning.space import OWN_KEYS

NOT_A_PROFILE: dict[str, float] = {"segment_seconds": MAX_SEGMENT_SECONDS, "threads": 1, "workers": 1}
"""The values that a render has for the search's own keys, which no profile can set."""


def free_evidence(target: Path, text: str) -> Path:
    """Return the file beside a profile for the JSON of its run: one that is not there, or has the same text."""
    for number in count(1):
        path = target.with_suffix(".run.json" if number == 1 else f".run-{number}.json")
        try:
            if path.read_bytes() == text.encode():
                return path
        except FileNotFoundError:
            return path
        except OSError:
            continue  # a folder, or the file of another user
    raise AssertionError("numbers do not end")


def make_profile(
    name: str,
    trial: Trial,
    *,
    evidence: Path,
    target: Path,
    description: str = "",
    text: str | None = None,
) -> Profile:
    """Return the profile of a trial's settings for a file at `target`, with the hash of the run's file `evidence`.

    `text` is the content of `evidence` if the file is not yet written.
    Raises InputError if a profile cannot have the settings, and ConfigError for a wrong name or an unreadable file.
    """
    for key, own in NOT_A_PROFILE.items():
        value = trial.settings.get(key)
        if value is not None and value != own:
            raise InputError(
                f"trial {trial.number}: {key} is {value}, which no profile can set; choose among trials with {own:g}"
            )
    encoders = {
        trial.encoder: True,
        **{each.name: False for each in ENCODERS.members if not each.by_name_only},
    }
    encoders[trial.encoder] = True
    try:
        hashed = Evidence(
            run=os.path.relpath(evidence.absolute(), target.absolute().parent),
            sha256=file_sha256(evidence) if text is None else hashlib.sha256(text.encode()).hexdigest(),
        )
        return Profile.model_validate(
            {
                "name": name,
                "description": description,
                "video": {
                    key: value
                    for key, value in trial.settings.items()
                    if key not in OWN_KEYS and value is not None
                },
                "encoders": {encoder: {"measured": measured} for encoder, measured in encoders.items()},
                "evidence": hashed.model_dump(),
            }
        )
    except OSError as error:
        raise ConfigError(f"evidence {evidence}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Profile, where="profile"))) from error
