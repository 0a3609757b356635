"""Profiles: named sets of encoder keys, each with the run of measurements that it was chosen from.

A profile is a YAML file. Those in the folder `profiles` are part of the package. In a configuration a profile is a
layer of its own below the keys beside it, and above everything below them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from video_pipeline.engine.common.cache import file_sha256
from video_pipeline.engine.common.documents import DocumentError, read_document
from video_pipeline.engine.common.files import write_text
from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.common.validation import explain
from video_pipeline.engine.config.encoder_keys import (
    ENCODER_KEYS,
    FREE_OF_THE_PRESET,
    NEUTRAL,
    RATE_KEYS,
    EncoderKeys,
    Section,
)
from video_pipeline.engine.config.families import ENCODERS
from video_pipeline.engine.errors import ConfigError

FOLDER: Final = Path(__file__).resolve().with_name("profiles")
SHIPPED: Final = ("draft", "social", "archive", "guide")
DEFAULT_PROFILE: Final = "social"
NO_PROFILE: Final = "none"
"""The word for no profile: the preset alone, and the keys that are given."""

if TYPE_CHECKING:
    MeasuredEncoder = str
    ProfileName = str
else:  # a type checker cannot evaluate the tables
    MeasuredEncoder = Literal[tuple(member.name for member in ENCODERS.members)]
    ProfileName = Literal[(*SHIPPED, NO_PROFILE)]

SUFFIXES: Final = (".yaml", ".yml")
_FILES: Final = f"a file whose name ends in {' or '.join(SUFFIXES)}"


def _not_the_word(name: str) -> str:
    if name == NO_PROFILE:
        raise ValueError(f"{NO_PROFILE!r} means no profile; choose another name")
    return name


class Measured(Section):
    """Whether a profile's values come from measurements with an encoder."""

    measured: bool = False


class Evidence(Section):
    """The recorded run that a profile was chosen from: its file and the file's hash."""

    run: str = Field(min_length=1, max_length=1000)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Profile(Section):
    """A named set of encoder keys."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_not_the_word)]
    description: str = Field("", max_length=1000)
    video: EncoderKeys
    encoders: dict[MeasuredEncoder, Measured] = Field(default_factory=dict)
    evidence: Evidence | None = None
    _folder: Path | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if "preset" not in self.video.model_fields_set:
            raise ValueError("video.preset: is missing; a profile names its preset")
        if self.evidence is None and any(encoder.measured for encoder in self.encoders.values()):
            raise ValueError("evidence: is missing; an encoder that was measured has the run and its sha256")
        return self

    def keys(self) -> dict[str, Any]:
        """Return the value of every encoder key."""
        named = {key: getattr(self.video, key) for key in self.video.model_fields_set}
        return NEUTRAL | named

    def as_data(self) -> dict[str, Any]:
        """Return the profile as plain data, as in its file."""
        return self.model_dump(mode="json", exclude_unset=True)

    def evidence_file(self) -> Path | None:
        """Return the file of the run if it is on this machine.

        Its name is relative to the folder of the profile's file; for those of the package, to the checkout.
        """
        if self.evidence is None or self._folder is None:
            return None
        path = (FOLDER.parents[2] if self._folder == FOLDER else self._folder) / self.evidence.run
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """What a manifest says of a profile: its keys, the encoders that it was measured with, and the hash of its run."""

    name: str
    keys: Mapping[str, Any]
    measured: tuple[str, ...]
    evidence: str | None


DEFAULT_FACTS: Final = ProfileFacts(
    DEFAULT_PROFILE,
    {key: field.default for key, field in EncoderKeys.model_fields.items()},
    measured=("libx264",),
    evidence="6094b7318cb191df0a8c293f07ff9e02700329ef68a454f3f441364ae8d0d632",
)
"""Those of the default profile, whose file need not be read for each render."""


def facts_of(choice: str | Profile) -> ProfileFacts | None:
    """Return what a manifest says of the value of `video.profile`; None without a profile."""
    if choice == DEFAULT_PROFILE:
        return DEFAULT_FACTS
    profile = profile_of(choice)
    if profile is None:
        return None
    measured = tuple(name for name, encoder in profile.encoders.items() if encoder.measured)
    return ProfileFacts(
        profile.name, profile.keys(), measured, profile.evidence.sha256 if profile.evidence else None
    )


def profile_names() -> tuple[str, ...]:
    """Return the names of the profiles of the package."""
    return SHIPPED


def is_profile_file(value: Any) -> bool:
    """Return whether a profile is given as a file."""
    return isinstance(value, os.PathLike) or (isinstance(value, str) and value.lower().endswith(SUFFIXES))


def load_profile(name_or_path: str | os.PathLike[str]) -> Profile:
    """Return a profile of the package by its name, or one from a file; raise ConfigError naming what is wrong."""
    if is_profile_file(name_or_path):
        return _read_profile(Path(name_or_path).expanduser())
    if name_or_path not in SHIPPED:
        raise ConfigError(f"profile: got {name_or_path!r}; {_allowed_profiles(name_or_path)}")
    return _shipped(str(name_or_path))


def _allowed_profiles(value: Any, *others: str) -> str:
    names = ", ".join((*SHIPPED, *others))
    return f"allowed: {names}, or {_FILES}{closest(str(value), SHIPPED)}"


@cache
def _shipped(name: str) -> Profile:
    return _read_profile(FOLDER / f"{name}.yaml")


def _read_profile(path: Path) -> Profile:
    try:
        data = read_document(path, "yaml")
    except DocumentError as error:
        raise ConfigError(str(error)) from error
    try:
        profile = Profile.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, Profile, where=str(path)))) from error
    profile._folder = path.absolute().parent
    return profile


def write_profile(profile: Profile, path: str | os.PathLike[str]) -> None:
    """Write a profile as YAML, completely or not at all; raise ConfigError for a name or folder that does not do."""
    import yaml

    path = Path(path)
    check_profile_target(path)
    text = yaml.safe_dump(profile.as_data(), sort_keys=False, allow_unicode=True, width=100)
    try:
        write_text(path, text)
    except OSError as error:
        raise ConfigError(f"profile {path}: cannot be written: {error.strerror}") from error


def check_profile_target(path: Path) -> None:
    """Raise ConfigError if a profile cannot be written to a file of this name."""
    if not is_profile_file(str(path)):
        raise ConfigError(f"profile {path}: the name must be {_FILES.removeprefix('a file whose name ')}")
    if path.is_dir():
        raise ConfigError(f"profile {path}: is a folder; name a file")


def check_evidence(profile: Profile) -> bool:
    """Return whether the file of a profile's run is here and has the hash; False if it is not here.

    Raises ConfigError if the file has another hash: then it is not the run that the profile was chosen from.
    """
    path = profile.evidence_file()
    if path is None or profile.evidence is None:
        return False
    try:
        digest = file_sha256(path)
    except OSError as error:
        raise ConfigError(f"profile {profile.name}: evidence {path}: {error.strerror}") from error
    if digest != profile.evidence.sha256:
        raise ConfigError(
            f"profile {profile.name}: evidence.sha256: {path} has {digest}, the profile was chosen from "
            f"{profile.evidence.sha256}; choose it again from this run, or restore the file"
        )
    return True


def read_choice(value: Any) -> str | Profile:
    """Return the value of `video.profile`: a name of the package as it is, a file or an object as the profile that it holds.

    Raises ValueError for anything else.
    """
    if isinstance(value, Profile):
        return value
    if isinstance(value, Mapping):
        try:
            return Profile.model_validate(value)
        except ValidationError as error:
            raise ValueError("\n".join(explain(error, Profile, where=""))) from error
    if is_profile_file(value):
        try:
            return _read_profile(Path(value).expanduser())
        except (ConfigError, RuntimeError) as error:  # RuntimeError: no home folder for ~
            raise ValueError(str(error)) from error
    if not isinstance(value, str) or value not in (*SHIPPED, NO_PROFILE):
        raise ValueError(_allowed_profiles(value, NO_PROFILE))
    return value


ProfileChoice = Annotated[
    str | Profile,
    BeforeValidator(
        read_choice,
        json_schema_input_type=ProfileName | Annotated[str, Field(pattern=r"\.[yY][aA]?[mM][lL]$")] | Profile,
    ),
]


def profile_of(choice: str | Profile) -> Profile | None:
    """Return the profile that the value of `video.profile` means; None without one."""
    if isinstance(choice, Profile):
        return choice
    return None if choice == NO_PROFILE else load_profile(choice)


def with_profile(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `video` that are given, with those of the profile that holds for them.

    A rate key that is given takes the place of the profile's. Without a profile, a `preset` that is given holds
    alone: the other values of the default profile belong to its own preset. A wrong profile is left for the model.
    """
    try:
        choice = read_choice(
            given.get("profile", DEFAULT_PROFILE if given.get("preset") is None else NO_PROFILE)
        )
    except ValueError:
        return dict(given)
    if choice == DEFAULT_PROFILE:
        keys = {}  # they are the model's defaults
    elif choice == NO_PROFILE:
        keys = {key: NEUTRAL[key] for key in ENCODER_KEYS if key not in FREE_OF_THE_PRESET}
    else:
        keys = (choice if isinstance(choice, Profile) else load_profile(choice)).keys()
    if any(given.get(key) is not None for key in RATE_KEYS):
        keys |= dict.fromkeys(RATE_KEYS)
    return {**keys, **given, "profile": choice}


def layered(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `video` of two layers as one, still without the keys of their profile.

    A profile of the upper layer takes the place of all encoder keys below it, a rate key that of the other ones.
    """
    gone: set[str] = set()
    if above.get("profile") is not None:
        gone.update(ENCODER_KEYS, ["profile"])
    if any(above.get(key) is not None for key in RATE_KEYS):
        gone.update(RATE_KEYS)
    return {key: value for key, value in below.items() if key not in gone} | dict(above)
