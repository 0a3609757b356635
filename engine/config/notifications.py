"""What a node tells others: webhooks and commands for job events, and alerts."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from video_pipeline.engine.config.encoder_keys import Section
from video_pipeline.engine.config.values import LocalPath

TargetName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Url = Annotated[str, Field(min_length=1, max_length=2000)]
Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\r\n\x00]+$")]
Argument = Annotated[str, Field(max_length=4096, pattern=r"^[^\x00]*$")]

JobEventName = Literal[
    "queued", "processing", "retrying", "requeued", "cancelling", "completed", "failed", "cancelled"
]
PublicationEventName = Literal["published", "publication_held", "publication_unknown", "publication_failed"]
EventName = JobEventName | PublicationEventName


class HttpTarget(Section):
    """A URL that gets requests."""

    url: Url | None = Field(None, description="URL that gets a POST; or set `url_file`.")
    url_file: LocalPath | None = Field(
        None, description="File with the URL, for a URL that is a secret itself.", strict=False
    )
    secret_file: LocalPath | None = Field(
        None,
        description="File with the secret that signs each request; null: the environment variable "
        "NOTIFY_WEBHOOK_SECRET, or no signature.",
        strict=False,
    )
    allow_private: bool = Field(False, description="Whether the host may have an address that is not public.")
    timeout: float = Field(10.0, gt=0, le=300, description="Seconds that one request may take.")

    @model_validator(mode="after")
    def _has_one_url(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError("url: give either url or url_file")
        return self


class JobWebhook(HttpTarget):
    """A URL that is told of job events."""

    events: tuple[EventName, ...] = Field(
        ("completed", "failed", "cancelled"), description="Events that it gets.", strict=False
    )


class AlertWebhook(HttpTarget):
    """A URL that gets alerts."""

    format: Literal["standard", "slack", "discord"] = Field(
        "standard",
        description="Body: standard (as job webhooks, type alert), slack ({text}) or discord ({content}).",
    )


class AlertEmail(Section):
    """A mailbox that gets alerts by SMTP."""

    host: Words = Field(description="SMTP server.")
    port: int = Field(587, ge=1, le=65_535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="starttls, tls (from the first byte, usually port 465) or none (no user allowed).",
    )
    user: Words | None = Field(None, description="User name; null: no login.")
    password_file: LocalPath | None = Field(
        None,
        description="File with the password; null: the environment variable NOTIFY_SMTP_PASSWORD.",
        strict=False,
    )
    sender: Words = Field(description="Address of the sender.")
    recipients: tuple[Words, ...] = Field(
        description="Addresses of the recipients.", min_length=1, strict=False
    )
    timeout: float = Field(30.0, gt=0, le=300, description="Seconds that sending one mail may take.")

    @model_validator(mode="after")
    def _password_is_encrypted(self) -> Self:
        if self.user is not None and self.security == "none":
            raise ValueError(
                "security: got none with a user: the password would travel readable; allowed: starttls, tls"
            )
        return self


class Alerts(Section):
    """Where alerts go."""

    webhooks: dict[TargetName, AlertWebhook] = Field(
        default_factory=dict, description="URLs, by name: `{ops: {url_file: slack-url, format: slack}}`."
    )
    emails: dict[TargetName, AlertEmail] = Field(
        default_factory=dict,
        description="Mailboxes, by name: `{ops: {host: HOST, sender: a@HOST, recipients: [b@HOST]}}`.",
    )
    repeat_after: float = Field(
        3600.0, ge=0, description="Seconds in which one cause gives one alert; further ones are counted."
    )


class Notifications(Section):
    """Webhooks, commands and alerts of a node."""

    webhooks: dict[TargetName, JobWebhook] = Field(
        default_factory=dict, description="URLs that are told of job events, by name: `{shop: {url: URL}}`."
    )
    on_completed: tuple[Argument, ...] = Field(
        (),
        description="Command (a list of arguments, no shell) that gets each completed job as JSON on its standard input.",
        strict=False,
    )
    on_failed: tuple[Argument, ...] = Field((), description="The same for each failed job.", strict=False)
    command_timeout: float = Field(
        60.0, gt=0, le=86_400, description="Seconds after which such a command is killed with its children."
    )
    command_attempts: int = Field(
        5, ge=1, le=100, description="How often a command that fails is run in all."
    )
    give_up_days: float = Field(
        3.0, gt=0, le=30, description="Days after which an undelivered notification becomes a dead letter."
    )
    keep_days: float = Field(
        30.0, gt=0, description="Days that delivered notifications and dead letters are kept."
    )
    alerts: Alerts = Field(Alerts(), description="Where alerts go.")

    @property
    def tells_events(self) -> bool:
        """Whether anything is told of job events."""
        return bool(self.webhooks or self.on_completed or self.on_failed)
