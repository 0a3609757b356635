"""What `doctor` says of profiles: their keys, what was measured, and whether the recorded run is the one they name."""

from __future__ import annotations

from typing import Any

from video_pipeline.engine.config.profiles import (
    Profile,
    check_evidence,
    load_profile,
    profile_names,
    profile_of,
)
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.errors import ConfigError


def examine_profiles(video: Video) -> list[dict[str, Any]]:
    """Return the profiles of the package, and the configuration's own if it is another, as plain values."""
    profiles = [load_profile(name) for name in profile_names()]
    used = profile_of(video.profile)
    if isinstance(video.profile, Profile):
        profiles.append(video.profile)
    return [_examine(profile, is_used=profile is used) for profile in profiles]


def _examine(profile: Profile, *, is_used: bool) -> dict[str, Any]:
    warning, evidence = None, "none" if profile.evidence is None else "not here"
    try:
        if check_evidence(profile):
            evidence = "matches"
    except ConfigError as error:
        warning, evidence = str(error), "differs"
    return {
        "name": profile.name,
        "description": profile.description,
        "used": is_used,
        "video": profile.video.model_dump(mode="json", exclude_unset=True),
        "encoders": {name: encoder.measured for name, encoder in profile.encoders.items()},
        "evidence": evidence,
        "warning": warning,
    }


def profile_lines(profiles: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the report on profiles."""
    lines = []
    for profile in profiles:
        keys = ", ".join(f"{key} {_word(value)}" for key, value in profile["video"].items())
        measured = ", ".join(
            f"{name} {'measured' if done else 'not measured'}" for name, done in profile["encoders"].items()
        )
        mark = " (used)" if profile["used"] else ""
        lines.append(f"profile       {profile['name']}{mark}: {keys}; {measured or 'not measured'}")
        if profile["warning"]:
            lines.append(f"warning       {profile['warning']}")
    return lines


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
