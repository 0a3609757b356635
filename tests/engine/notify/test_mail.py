"""Alerts by e-mail, to a real SMTP server with TLS and a login."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from tests.support.origin import certificate
from tests.support.ports import free_port
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.notify.alerts import alert_notes, note_of
from video_pipeline.engine.notify.deliver import deliver_to_target
from video_pipeline.engine.notify.outbox import Outbox
from video_pipeline.engine.notify.target import NotDelivered
from video_pipeline.engine.notify.targets import connect_target

PASSWORD = "a-password-of-the-tests"
NAME = "localhost"


class Box:
    """Keeps the mails that arrive."""

    def __init__(self) -> None:
        self.mails: list[Envelope] = []
        self.logins: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802
        self.mails.append(envelope)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login)
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


class GreyBox(Box):
    """Refuses one recipient twice, as greylisting does."""

    def __init__(self) -> None:
        super().__init__()
        self.now = time.time()
        self.refused = 0

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("night") and self.refused < 2:
            self.refused += 1
            return "451 4.7.1 Greylisted, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    chain, key = certificate(tmp_path, NAME)
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return context


@pytest.fixture
def box() -> Box:
    return Box()


def served(box: Box, **options: Any) -> Controller:
    options = {"authenticator": box.authenticate, "ready_timeout": FAST_SECONDS, **options}
    controller = Controller(box, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    return controller


@pytest.fixture
def starttls(box: Box, tls: ssl.SSLContext) -> Iterator[int]:
    controller = served(box, tls_context=tls, require_starttls=True, auth_required=True)
    yield controller.port
    controller.stop()


def send(
    folder: Path, port: int, *, password: str = PASSWORD, title: str = "disk full", **keys: Any
) -> NotDelivered | None:
    file = folder / "password"
    file.write_text(password)
    given = {
        "host": NAME, "port": port, "user": "ops", "password_file": str(file), "timeout": FAST_SECONDS,
        "sender": "node@example.org", "recipients": ["ops@example.org", "night@example.org"], **keys,
    }  # fmt: skip
    config = load_config({"notifications": {"alerts": {"emails": {"ops": given}}}}, environ=False)
    (new,) = alert_notes(["alert/email.ops"], cause="disk", title=title, detail="Ünter 3 MB", now=0.0)
    return connect_target(config, "alert/email.ops").send(note_of(new, now=time.time()))


def test_a_mail_is_sent_encrypted_and_with_a_login(tmp_path: Path, starttls: int, box: Box) -> None:
    assert send(tmp_path, starttls, title="disk full\r\nBcc: other@example.org") is None
    (mail,) = box.mails
    assert mail.rcpt_tos == ["ops@example.org", "night@example.org"]
    assert isinstance(mail.content, bytes)
    found = message_from_bytes(mail.content, policy=policy.default)
    assert found["Subject"] == "[video-pipeline] disk full Bcc: other@example.org"
    assert found["Bcc"] is None
    assert "Ünter 3 MB" in found.get_content()
    assert box.logins == [b"ops"]


def test_a_mail_over_tls_from_the_first_byte(tmp_path: Path, box: Box, tls: ssl.SSLContext) -> None:
    controller = served(box, ssl_context=tls, auth_require_tls=False)
    try:
        assert send(tmp_path, controller.port, security="tls") is None
    finally:
        controller.stop()
    assert len(box.mails) == 1


def test_a_wrong_password_is_an_error_that_does_not_show_it(tmp_path: Path, starttls: int, box: Box) -> None:
    failure = send(tmp_path, starttls, password="wrong-one")
    assert failure is not None
    assert "Authentication" in failure.error
    assert "wrong-one" not in failure.error
    assert box.mails == []


def test_a_certificate_that_is_not_trusted_gets_no_password(
    tmp_path: Path, starttls: int, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    failure = send(tmp_path, starttls)
    assert failure is not None
    assert "CERTIFICATE_VERIFY_FAILED" in failure.error
    assert box.logins == []


def test_a_server_without_starttls_gets_no_password(tmp_path: Path, box: Box) -> None:
    controller = served(box, auth_require_tls=False)
    try:
        failure = send(tmp_path, controller.port)
    finally:
        controller.stop()
    assert failure is not None
    assert "STARTTLS" in failure.error
    assert box.logins == []


@pytest.mark.parametrize("greeting", [b"220 here\r\n", b"220 "])
def test_a_server_that_drips_is_given_up_after_its_time(tmp_path: Path, greeting: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def drip() -> None:
        wire, _ = listener.accept()
        with wire:
            try:
                wire.sendall(greeting)
                while not closing.wait(0.2):
                    wire.sendall(b"250-x\r\n" if greeting.endswith(b"\n") else b"x")
            except OSError:
                return

    threading.Thread(target=drip, daemon=True).start()
    began = time.monotonic()
    failure = send(tmp_path, listener.getsockname()[1], timeout=1)
    closing.set()
    listener.close()
    assert failure is not None
    assert time.monotonic() - began < PROMPT_SECONDS


def test_who_has_a_mail_does_not_get_it_again_while_another_recipient_is_refused(tmp_path: Path) -> None:
    box = GreyBox()
    controller = served(box)
    try:
        config = load_config({"notifications": {"alerts": {"emails": {"ops": {
            "host": NAME, "port": controller.port, "security": "none", "timeout": FAST_SECONDS,
            "sender": "node@example.org", "recipients": ["ops@example.org", "night@example.org"],
        }}}}}, environ=False)  # fmt: skip
        outbox = Outbox(tmp_path / "notifications.sqlite3", clock=lambda: box.now)
        with outbox.writing() as db:
            outbox.add(alert_notes(["alert/email.ops"], cause="a", title="a", detail="b", now=0.0), db)
        for _ in range(4):
            deliver_to_target(outbox, "alert/email.ops", config)
            box.now += 3600
        (note,) = outbox.listed()
        outbox.close()
    finally:
        controller.stop()
    assert [mail.rcpt_tos for mail in box.mails] == [["ops@example.org"], ["night@example.org"]]
    assert (note.state, note.attempts) == ("delivered", 3)


def test_a_password_is_not_sent_without_encryption_and_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="the password would travel readable; allowed: starttls, tls"):
        send(tmp_path, 25, security="none")
    monkeypatch.delenv("NOTIFY_SMTP_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="user is set and there is no password; set password_file"):
        send(tmp_path, 25, password_file=None)
