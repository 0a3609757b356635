"""Keys that services on the network have alike: address, key file, model."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from video_pipeline.engine.config.values import LocalPath

BaseUrl = Annotated[str, Field(min_length=1, max_length=2000)]
ServiceName = Annotated[str, Field(min_length=1, max_length=64)]
ServiceWord = Annotated[str, Field(min_length=1, max_length=200)]


def key_file_field(variable: str) -> LocalPath | None:
    """Return the field of the file that holds a service's key; `variable` is used without one."""
    found: LocalPath | None = Field(
        None, description=f"File with the key; null: the environment variable {variable}.", strict=False
    )
    return found
