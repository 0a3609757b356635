"""The section `grade`: the colour grade of pictures and clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from video_pipeline.engine.common.grades import GRADE_NAMES, GRADE_WORDS, GradeWord
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import LocalPath


def _grade_or_file(value: Any) -> Any:
    if not isinstance(value, str | Path):
        raise ValueError(f"allowed: {', '.join(GRADE_WORDS)} or the path of a .cube file")
    return Path(value) if isinstance(value, str) and value not in GRADE_WORDS else value


def _cube_file(value: GradeWord | Path) -> GradeWord | Path:
    # `Path` drops the dot of `./warm`, which then would be a word again when the configuration is sent as JSON.
    return Path.cwd() / value if isinstance(value, Path) and str(value) in GRADE_WORDS else value


Lut = Annotated[
    GradeWord | LocalPath,
    BeforeValidator(_grade_or_file, json_schema_input_type=GradeWord | LocalPath),
    AfterValidator(_cube_file),
]


class GradeSettings(Section):
    """The colour grade of pictures and clips; captions and the watermark keep their colours."""

    lut: Lut = Field(
        "none",
        description=f"A 3D LUT as a .cube file, a grade of the package ({', '.join(GRADE_NAMES)}) or none.",
    )
    strength: float = Field(1.0, ge=0, le=1, description="0 is the picture's own colours, 1 the whole grade.")
