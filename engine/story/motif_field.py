"""The field of a scene that names a motif."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from video_pipeline.engine.common.similar import closest
from video_pipeline.engine.story.motifs.table import MOTIF_NAMES


def _known_motif(name: str) -> str:
    if name not in MOTIF_NAMES:
        raise ValueError(f"allowed{closest(name, tuple(MOTIF_NAMES))}: {', '.join(MOTIF_NAMES)}")
    return name


MotifName = Annotated[str, AfterValidator(_known_motif), Field(json_schema_extra={"enum": [*MOTIF_NAMES]})]
