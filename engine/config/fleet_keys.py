"""How machines render together: `serve --fleet` and `worker --join`."""

from __future__ import annotations

from pydantic import Field

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import LocalPath


class Fleet(Section):
    """Many machines that render the jobs of one node, over Ray."""

    address: str | None = Field(
        None,
        pattern=r"^(\[[0-9a-fA-F:]+\]|[^\s:/\[\]]+):[0-9]{1,5}$",
        description="HOST:PORT at which machines join, the server's; null: bind and port 6379. `worker --join` sets it.",
    )
    bind: str | None = Field(
        None,
        min_length=1,
        description="This machine's IP address in the fleet's network, at which the others reach it; null: that of the "
        "way to fleet.address.",
    )
    token_path: LocalPath | None = Field(
        None,
        description="File with the token that machines join with, closed to others (0600); the server makes it. Default: "
        "fleet/token in the state folder.",
        strict=False,
    )
    tls_cert: LocalPath | None = Field(
        None,
        description="PEM file of this machine's certificate between machines; null: no encryption.",
        strict=False,
    )
    tls_key: LocalPath | None = Field(
        None, description="PEM file of that certificate's key, which has no password.", strict=False
    )
    tls_ca: LocalPath | None = Field(
        None, description="PEM file of the authority that signed every machine's certificate.", strict=False
    )
    store: str | None = Field(
        None,
        min_length=1,
        description="Storage that all machines share: a folder that is mounted everywhere, or s3://BUCKET/PREFIX. Nodes "
        "without a fleet use it as a cache in common.",
    )
    store_endpoint: str | None = Field(
        None,
        pattern=r"^https?://[^\s/@]+/?$",
        description="Address of a store that speaks S3 and is not Amazon's, such as http://10.0.0.5:8333.",
    )
    lease: float = Field(
        10,
        ge=2,
        le=600,
        description="Seconds that a machine may be silent before its attempts are given to others; it ends them before.",
    )
    split_seconds: float = Field(
        60,
        ge=0,
        description="Estimated seconds of drawing on one core above which a job's segments are drawn by several machines.",
    )
    user_slots: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Most slots of the fleet that one user's jobs take at once; 0: no limit.",
    )
    job_slots: int = Field(
        0, ge=0, le=100_000, description="Most slots of the fleet that one job takes at once; 0: no limit."
    )
