"""What a video takes from its profile, for manifest and plan."""

from __future__ import annotations

from typing import Any

from video_pipeline.engine.config.profiles import facts_of
from video_pipeline.engine.config.sections import Video
from video_pipeline.engine.render.encoders.options import left_out_of_profile


def describe_profile(video: Video, encoder: str) -> dict[str, Any] | None:
    """Return the profile of a video as plain values, None without one.

    `changed` lists the keys that the configuration sets to other values, `left_out` those that the encoder does not
    have; `evidence` is the SHA-256 of the run that the profile was chosen from, if there is one.
    """
    facts = facts_of(video.profile)
    if facts is None:
        return None
    return {
        "name": facts.name,
        "evidence": facts.evidence,
        "measured": encoder in facts.measured,
        "changed": [key for key, value in facts.keys.items() if getattr(video, key) != value],
        "left_out": list(left_out_of_profile(video, encoder)),
    }
