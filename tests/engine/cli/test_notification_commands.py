"""`video-pipeline webhooks` and `alerts` as programs, and what `doctor` says of notifications."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.command import run
from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.cli.doctor_notifications import examine_notifications, probe_notifications
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.notify.deliver import deliver_to_target
from video_pipeline.engine.notify.outbox import NewNote, Outbox, outbox_path


@pytest.fixture
def shop() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def written(folder: Path, shop: Receiver, **webhook: Any) -> tuple[Path, Config]:
    """Write a configuration file; return its path and the configuration."""
    (folder / "secret").write_text(SECRET)
    hook = {
        "url": shop.url,
        "secret_file": str(folder / "secret"),
        "allow_private": True,
        "timeout": FAST_SECONDS,
        **webhook,
    }
    settings = {
        "node": {"state_path": str(folder / "state")},
        "notifications": {"webhooks": {"shop": hook}, "alerts": {"webhooks": {"chat": hook}}},
    }
    path = folder / "node.yaml"
    path.write_text(yaml.safe_dump({"video_pipeline": settings}))
    return path, load_config(path, environ=False)


def test_a_dead_letter_is_listed_shown_resent_and_delivered(tmp_path: Path, shop: Receiver) -> None:
    path, config = written(tmp_path, shop)
    outbox = Outbox(outbox_path(config))
    body = json.dumps({"id": "msg_1", "type": "job.completed", "data": {}})
    new = NewNote(message_id="msg_1", target="webhook/shop", type="job.completed", subject="job-1", body=body)
    with outbox.writing() as db:
        outbox.add([new], db)
    shop.faults.append("410 Gone")
    deliver_to_target(outbox, "webhook/shop", config)
    outbox.close()
    listed = run("webhooks", "list", "--state", "dead", "--config", str(path))
    assert listed.returncode == 0, listed.stderr
    assert "1  dead       webhook/shop  job.completed  job-1  410 Gone" in listed.stdout
    (shown,) = json.loads(run("webhooks", "show", "1", "--json", "--config", str(path)).stdout)
    assert json.loads(shown["body"]) == json.loads(body)
    assert "waiting" in run("webhooks", "resend", "--dead", "--config", str(path)).stdout
    sent = run("webhooks", "run", "--config", str(path))
    assert (sent.returncode, "delivered" in sent.stdout) == (0, True), sent.stderr
    assert shop.ids == ["msg_1", "msg_1"]
    wrong = run("webhooks", "resend", "9", "--config", str(path))
    assert wrong.returncode == 2
    assert "notification: got 9; there is none of this number" in wrong.stderr


def test_tests_are_sent_at_once_and_say_what_fails(tmp_path: Path, shop: Receiver) -> None:
    path, _ = written(tmp_path, shop)
    tried = run("webhooks", "test", "--config", str(path))
    assert (tried.returncode, tried.stdout.strip()) == (0, "webhook/shop  accepted"), tried.stderr
    assert run("alerts", "test", "--config", str(path)).stdout.strip() == "alert/webhook.chat  accepted"
    assert [body["type"] for body in shop.got] == ["test", "test"]
    shop.faults.append("500 Broken")
    failed = run("alerts", "test", "--config", str(path))
    assert failed.returncode == 1
    assert "500 Broken" in failed.stdout
    unknown = run("webhooks", "test", "other", "--config", str(path))
    assert unknown.returncode == 2
    assert "got 'other'; allowed: shop" in unknown.stderr


def test_doctor_checks_the_settings_and_reaches_targets_only_if_it_is_asked(
    tmp_path: Path, shop: Receiver
) -> None:
    _, config = written(tmp_path, shop)
    found = examine_notifications(config)
    assert found["webhook/shop"] == {
        "configured": True,
        "reason": f"http://127.0.0.1:{shop.port}, signed",
    }
    assert all(each["works"] for each in probe_notifications(config))
    assert shop.ids == []
    shop.close()
    first, *_ = probe_notifications(config)
    assert not first["works"]
    _, config = written(tmp_path, shop, allow_private=False)
    state = examine_notifications(config)["webhook/shop"]
    assert not state["configured"]
    assert (
        "127.0.0.1 is not a public address; set allow_private for a receiver of your own network"
        in state["reason"]
    )


def test_alerts_without_a_target_are_told_from_no_alerts(tmp_path: Path, shop: Receiver) -> None:
    path, config = written(tmp_path, shop)
    Outbox(outbox_path(config)).close()
    assert run("alerts", "list", "--config", str(path)).stdout == "no alerts\n"
    path.write_text(yaml.safe_dump({"video_pipeline": {"node": {"state_path": str(tmp_path / "state")}}}))
    shown = run("alerts", "list", "--config", str(path)).stdout
    assert shown.startswith("no alerts are noted: there is no target: set notifications.alerts")
