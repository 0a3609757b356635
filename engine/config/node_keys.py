"""What a node keeps, and how it is reached over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from video_pipeline.engine.common.publishers import DELIVERY_PATTERN
from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import LocalPath

DeliveryTarget = Annotated[str, Field(pattern=DELIVERY_PATTERN)]


class Web(Section):
    """The HTTP interface of a render node."""

    enabled: bool = Field(
        False, description="Whether a node accepts jobs over HTTP too; `serve --web` sets it."
    )
    host: str = Field(
        "127.0.0.1", min_length=1, description="Address of the HTTP interface; 0.0.0.0 or ::: every one."
    )
    port: int = Field(5590, ge=0, le=65535, description="Port of the HTTP interface; 0: any free one.")
    tokens: Literal["auto", "required"] = Field(
        "auto",
        description="Whether each request needs a token; auto: not on a loopback host. Set required behind a proxy.",
    )
    tls_cert: LocalPath | None = Field(
        None, description="PEM file of the certificate chain for HTTPS; null: HTTP.", strict=False
    )
    tls_key: LocalPath | None = Field(
        None, description="PEM file of the certificate's key, which has no password.", strict=False
    )
    allowed_origins: tuple[str, ...] = Field(
        (),
        description="Web origins other than the node's own whose pages may call it, such as https://app.example.",
    )
    max_connections: int = Field(
        1024,
        ge=16,
        le=16384,
        description="Open HTTP connections; a further one replaces the one idle for longest.",
    )
    max_streams: int = Field(
        256, ge=1, le=16384, description="Open streams of events; one user may have a quarter of them."
    )


class Storage(Section):
    """Folders and their limits."""

    output_path: LocalPath = Field(
        Path(), description="Folder of videos if no output is named.", strict=False
    )
    cache_path: LocalPath | None = Field(
        None, description="Cache folder; default: the user's cache folder.", strict=False
    )
    temp_path: LocalPath | None = Field(
        None, description="Folder of temporary files; default: the system's.", strict=False
    )
    max_storage_gb: float = Field(500, gt=0, description="Size limit of the cache in GB.")
    max_output_gb: float | None = Field(
        None,
        gt=0,
        description="Size in GB from which a node deletes finished videos in output_path, oldest first; null: none.",
    )
    deliver: tuple[DeliveryTarget, ...] = Field(
        (),
        description="Accounts, as PLATFORM or PLATFORM/ACCOUNT (publishing.accounts), to which a node delivers every "
        "finished video, beside what its story publishes; output_path keeps it.",
    )
    keep_output_days: float | None = Field(
        None, gt=0, description="Days after which a node deletes finished videos; null: never."
    )
    deletable: Literal["published", "finished"] = Field(
        "published",
        description="Which finished videos may be deleted: those whose posts are all confirmed, or all.",
    )
