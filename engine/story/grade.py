"""The colour grade of a story."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from video_pipeline.engine.common.grades import GRADE_WORDS, GradeWord
from video_pipeline.engine.story.fields import FilePath, Number, StoryPart


class GradeSpec(StoryPart):
    """A colour grade: a 3D LUT as a file, or a grade of the package; `none` is none."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [key], "properties": {key: {"type": "string"}}} for key in ("path", "name")
            ]
        }
    )

    path: FilePath | None = Field(None, description="A .cube file, relative to the story file.")
    name: GradeWord | None = Field(None, description="A grade of the package, or none.")
    strength: Annotated[Number, Field(ge=0, le=1)] | None = Field(
        None, description="0 is the picture's own colours, 1 the whole grade."
    )

    @model_validator(mode="after")
    def _one_lut(self) -> Self:
        if (self.path is None) == (self.name is None):
            raise ValueError("give either `path` or `name`")
        return self


def grade_source(value: Any) -> Any:
    """Return the grade that a text names: one of the package, `none`, or a file."""
    if isinstance(value, str):
        return {"name" if value in GRADE_WORDS else "path": value}
    return value
