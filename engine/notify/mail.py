"""Deliver alerts by e-mail, over an SMTP server."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, Final

from video_pipeline.engine.config.notifications import AlertEmail
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.secret import Secret, find_secret, hide_secrets
from video_pipeline.engine.notify.outbox import Note
from video_pipeline.engine.notify.target import NotDelivered, Target, one_line

PASSWORD_VARIABLE: Final = "NOTIFY_SMTP_PASSWORD"
SUBJECT_CHARACTERS: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """Sends mails by one account of an SMTP server."""

    keys: AlertEmail
    password: Secret | None

    def __call__(self, note: Note) -> NotDelivered | None:
        """Send one; return why it was not accepted, None if it was."""
        try:
            body = json.loads(note.body)
            message = self._message(note)
            left = body["data"].get("recipients", self.keys.recipients)
            recipients = [each for each in self.keys.recipients if each in left]
            if not recipients:
                return None  # those that are left are no longer in the configuration
            with self.connected() as server:
                refused = server.send_message(message, to_addrs=recipients)
            if refused:
                # The others have it: only these get it when it is tried again.
                body["data"]["recipients"] = sorted(refused)
                return NotDelivered(
                    error=self._shown(f"refused: {', '.join(sorted(refused))}"), left=json.dumps(body)
                )
        except (OSError, smtplib.SMTPException, MessageError, ValueError) as error:
            return NotDelivered(error=self._shown(f"{type(error).__name__}: {error}"))
        return None

    @contextmanager
    def connected(self) -> Iterator[smtplib.SMTP]:
        """Yield a connection that is encrypted and logged in as the keys say; it ends after `timeout` seconds."""
        keys = self.keys
        context = ssl.create_default_context()
        server: _TimedSmtp
        if keys.security == "tls":
            server = _TimedSmtpOverTls(keys.host, keys.port, timeout=keys.timeout, context=context)
        else:
            server = _TimedSmtp(keys.host, keys.port, timeout=keys.timeout)
        try:
            with server:
                if keys.security == "starttls":
                    server.starttls(context=context)
                if keys.user is not None and self.password is not None:
                    server.login(keys.user, self.password.reveal())
                yield server
        finally:
            server.watch.cancel()

    def _message(self, note: Note) -> EmailMessage:
        data = json.loads(note.body)["data"]
        title = " ".join(str(data["title"]).split())[:SUBJECT_CHARACTERS]
        message = EmailMessage()
        message["Subject"] = f"[video-pipeline] {title}"
        message["From"] = self.keys.sender
        message["To"] = ", ".join(self.keys.recipients)
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{note.message_id}@video-pipeline>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(str(data["text"]))
        return message

    def _shown(self, text: str) -> str:
        return one_line(hide_secrets(text, (self.password,) if self.password else ()))


class _TimedSmtp(smtplib.SMTP):
    """A connection that ends `timeout` seconds after its begin, however slowly the server sends."""

    watch: threading.Timer

    def connect(
        self,
        host: str = "localhost",
        port: int = 0,
        source_address: Any = None,
    ) -> tuple[int, bytes]:
        """Connect and read the greeting."""
        self.watch = threading.Timer(self.timeout, _shut_down, (self,))
        self.watch.daemon = True
        self.watch.start()
        return super().connect(host, port, source_address)


class _TimedSmtpOverTls(_TimedSmtp, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


def _shut_down(server: smtplib.SMTP) -> None:
    if isinstance(server.sock, socket.socket):
        with suppress(OSError):
            server.sock.shutdown(socket.SHUT_RDWR)


def mail_target(name: str, keys: AlertEmail, *, place: str) -> Target:
    """Return the target of a mailbox; raise ConfigError if its password is missing."""
    password = None
    if keys.user is not None:
        password = find_secret(
            f"{place}.password_file", file=keys.password_file, variables=(PASSWORD_VARIABLE,)
        )
        if password is None:
            raise ConfigError(
                f"{place}: user is set and there is no password; set password_file or the environment variable "
                f"{PASSWORD_VARIABLE}"
            )
    return Target(name=name, address=f"{keys.host}:{keys.port}", send=Mailbox(keys=keys, password=password))
