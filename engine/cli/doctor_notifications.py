"""What `doctor` says about webhooks, commands and alerts of a node."""

from __future__ import annotations

import smtplib
import time
from collections.abc import Iterator
from typing import Any

from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.pinned import NO_ANSWER_ERRORS, AddressRefusedError, TooSlowError
from video_pipeline.engine.notify.http_post import HttpPost
from video_pipeline.engine.notify.mail import Mailbox
from video_pipeline.engine.notify.target import Target
from video_pipeline.engine.notify.targets import alert_targets, connect_target, event_targets


def _target_names(config: Config) -> tuple[str, ...]:
    return (*event_targets(config), *alert_targets(config))


def examine_notifications(config: Config) -> dict[str, dict[str, Any]]:
    """Return which targets are rightly set up; nothing is sent."""
    found = {}
    for name in _target_names(config):
        try:
            target = connect_target(config, name)
        except ConfigError as error:
            found[name] = {"configured": False, "reason": str(error)}
        else:
            found[name] = {"configured": True, "reason": _target_words(target)}
    return found


def _target_words(target: Target) -> str:
    match target.send:
        case HttpPost() as post:
            signed = "signed" if post.secret else "not signed"
            return f"{post.url.scheme}://{post.url.host}:{post.url.port}, {signed}"
        case Mailbox() as box:
            return f"{box.keys.host}:{box.keys.port}, {box.keys.security}"
    return target.address


def probe_notifications(config: Config) -> Iterator[dict[str, Any]]:
    """Connect to each target and log in, but send nothing; yield whether that works."""
    for name in _target_names(config):
        try:
            reason = _reach(connect_target(config, name))
        except (ConfigError, AddressRefusedError, TooSlowError, smtplib.SMTPException, OSError) as error:
            yield {"name": name, "works": False, "reason": str(error) or type(error).__name__}
        except NO_ANSWER_ERRORS as error:
            yield {"name": name, "works": False, "reason": str(error) or type(error).__name__}
        else:
            yield {"name": name, "works": True, "reason": reason}


def _reach(target: Target) -> str:
    match target.send:
        case HttpPost() as post:
            post.requests.connect(post.url, deadline=time.monotonic() + post.timeout).close()
            return "can be reached"
        case Mailbox() as box:
            with box.connected() as server:
                server.noop()
            return "can be reached" + (" and accepts the login" if box.keys.user else "")
    return "can be run"
