"""What a video's files say of pictures that are not the user's: which a model made, and who made the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from video_pipeline.engine.assets.models import PictureOrigin

SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's term for media that a trained model made."""


def credits_of(origins: Iterable[PictureOrigin]) -> list[str]:
    """Return one line for each author of stock pictures and clips: author, library, page, licence."""
    lines = (f"{each.credit}: {each.link} ({each.licence})" for each in origins if each.credit)
    return list(dict.fromkeys(lines))


def disclosed(origins: Mapping[str, PictureOrigin]) -> dict[str, Any]:
    """Return the metadata's fields on pictures: `generated_media` by service and model, `credits`; none if empty."""
    generated: dict[tuple[str, str], list[str]] = {}
    for scene, origin in origins.items():
        if origin.generated:
            generated.setdefault((origin.service, origin.model), []).append(scene)
    fields: dict[str, Any] = {}
    if generated:
        fields["generated_media"] = [
            {
                "kind": "picture",
                "digital_source_type": SOURCE_TYPE,
                "service": service,
                "model": model,
                "scenes": scenes,
            }
            for (service, model), scenes in generated.items()
        ]
    if credits := credits_of(origins.values()):
        fields["credits"] = credits
    return fields
