"""The targets of a configuration: what gets which notification."""

from __future__ import annotations

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.notify.command import command_target
from video_pipeline.engine.notify.http_post import http_target
from video_pipeline.engine.notify.mail import mail_target
from video_pipeline.engine.notify.target import Target


def event_targets(config: Config) -> dict[str, frozenset[str]]:
    """Return the names of the targets that are told of events, and of which."""
    keys = config.notifications
    found = {f"webhook/{name}": frozenset[str](each.events) for name, each in keys.webhooks.items()}
    if keys.on_completed:
        found["command/on_completed"] = frozenset({"completed"})
    if keys.on_failed:
        found["command/on_failed"] = frozenset({"failed"})
    return found


def alert_targets(config: Config) -> tuple[str, ...]:
    """Return the names of the targets that get alerts; none with error_handling.alert_on_failure: false."""
    if not config.error_handling.alert_on_failure:
        return ()
    alerts = config.notifications.alerts
    return (
        *(f"alert/webhook.{name}" for name in alerts.webhooks),
        *(f"alert/email.{name}" for name in alerts.emails),
    )


def connect_target(config: Config, name: str) -> Target:
    """Return a target by its name; raise ConfigError if it is not set up, or not rightly."""
    keys = config.notifications
    kind, _, rest = name.partition("/")
    if kind == "webhook" and rest in keys.webhooks:
        return http_target(name, keys.webhooks[rest], place=f"notifications.webhooks.{rest}")
    if kind == "command":
        argv = {"on_completed": keys.on_completed, "on_failed": keys.on_failed}.get(rest)
        if argv:
            return command_target(
                name,
                argv,
                timeout=keys.command_timeout,
                attempts=keys.command_attempts,
                place=f"notifications.{rest}",
            )
    form, _, rest = rest.partition(".")
    if form == "webhook" and rest in keys.alerts.webhooks:
        return http_target(name, keys.alerts.webhooks[rest], place=f"notifications.alerts.webhooks.{rest}")
    if form == "email" and rest in keys.alerts.emails:
        return mail_target(name, keys.alerts.emails[rest], place=f"notifications.alerts.emails.{rest}")
    raise ConfigError(f"{name}: is no longer in the configuration (notifications)")
