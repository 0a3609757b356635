"""What the HTTP process gets from the node at its start."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class WebSettings(BaseModel):
    """The setup of the HTTP process. `key` is its CURVE key pair at the server, `secret` lets it act for users."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    parent: int
    json_log: bool
    log_level: str
    host: str
    port: int
    tokens: Literal["auto", "required"]
    tls_cert: Path | None
    tls_key: Path | None
    allowed_origins: tuple[str, ...]
    max_connections: int
    max_streams: int
    max_message_bytes: int = Field(description="Largest request with its parts.")
    max_parts: int
    keys: Path = Field(description="Folder of keys, with tokens/ in it.")
    key_public: str
    key_secret: SecretStr
    secret: SecretStr


class ServerEndpoints(BaseModel):
    """Where the node's server is: URLs that this machine can connect to, and its public key if it uses CURVE."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    requests: str
    events: str
    curve: bool
    public_key: str | None = None
