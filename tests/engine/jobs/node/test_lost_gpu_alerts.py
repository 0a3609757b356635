"""Alerts of GPUs that were lost: raised by the job that noticed, ended by one that a GPU encodes. The driver is emulated."""

from __future__ import annotations

import re
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import EmulatedDriver
from tests.support.jobs import job_of, node_config, node_process, submit, tiny_story
from tests.support.receiver import SECRET, Receiver, receiver
from tests.support.waiting import wait_until
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.model import Job
from video_pipeline.engine.jobs.node.collect import begin_reading, collect_events
from video_pipeline.engine.notify.outbox import Outbox, outbox_path

LOST: dict[str, dict[str, Any]] = {
    "others went on": {
        "encoder": "h264_nvenc",
        "encoder_fallback": None,
        "encoder_sessions": {"lost_gpus": {"0": "gone"}},
    },
    "none is left": {"encoder": "libx264", "encoder_fallback": "machine", "encoder_sessions": None},
}
NOT_LOST: dict[str, dict[str, Any]] = {
    "no session": {"encoder": "libx264", "encoder_fallback": "refused", "encoder_sessions": None},
    "no GPU": {"encoder": "libx264", "encoder_fallback": None, "encoder_sessions": None},
}
BUSY_SECONDS = 120.0
"""More than anything here takes on a busy computer."""

BY_GPU = {"encoder": "h264_nvenc", "encoder_fallback": None, "encoder_sessions": {"lost_gpus": {}}}


def complete(ledger: Ledger, result: dict[str, Any]) -> None:
    """Let a job complete with a result."""
    submit(ledger, tiny_story())
    attempt = ledger.attempts.claim()
    assert attempt is not None
    assert ledger.attempts.begin_publishing(attempt.job_id, attempt.fence)
    assert ledger.attempts.complete(attempt.job_id, attempt.fence, result)


def told(folder: Path, *results: dict[str, Any]) -> list[str]:
    """Return the types of the alerts of jobs that complete one after another."""
    alerts = {"webhooks": {"ops": {"url": "https://ops.example/alerts"}}}
    config = node_config(folder, notifications={"alerts": alerts})
    folders = Folders.of(config)
    folders.make()
    outbox = Outbox(outbox_path(config))
    with Ledger(folders.ledger) as ledger:
        begin_reading(ledger, outbox, config)
        for result in results:
            complete(ledger, result)
            collect_events(ledger, outbox, config)
    return [note.type for note in sorted(outbox.listed(), key=lambda note: note.number)]


@pytest.mark.parametrize("name", LOST)
def test_a_lost_gpu_is_told_until_a_gpu_encodes_again(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, LOST[name], LOST[name], BY_GPU) == ["alert.raised", "alert.recovered"]


@pytest.mark.parametrize("name", NOT_LOST)
def test_a_machine_without_a_gpu_or_a_session_has_lost_none(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, NOT_LOST[name]) == []


def rendered_with(driver: EmulatedDriver, folder: Path, ops: Receiver, name: str, **cards: Any) -> Job:
    """Run a node on the emulated machine for one video, until it has sent one more alert."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    webhook = {"url": ops.url, "secret_file": str(secret), "allow_private": True}
    known = len(ops.got)
    with (
        node_process(
            folder,
            environ=driver.environment(**cards),
            video={"codec": "auto"},
            notifications={"alerts": {"webhooks": {"ops": webhook}}},
        ) as node,
        node.ledger() as ledger,
    ):
        job_id = submit(ledger, tiny_story(name, seconds=2, text=name))
        wait_until(lambda: job_of(ledger, job_id).status.is_terminal, seconds=BUSY_SECONDS, what="an end")
        wait_until(lambda: len(ops.got) > known, seconds=BUSY_SECONDS, what="an alert")
        with closing(Outbox(outbox_path(node.config))) as outbox:  # else the next node would send it again
            wait_until(lambda: outbox.numbers()["waiting"] == 0, seconds=BUSY_SECONDS, what="its record")
        node.signal(signal.SIGTERM)
        assert node.wait(seconds=BUSY_SECONDS) == 0
        return job_of(ledger, job_id)


def test_a_node_whose_card_is_lost_in_a_video_tells_a_receiver_and_tells_it_when_the_card_works_again(
    driver: EmulatedDriver, tmp_path: Path
) -> None:
    with receiver() as ops:
        lost = rendered_with(driver, tmp_path, ops, "lost", lost="0:40")
        assert lost.result is not None, lost.error_message
        assert (lost.status, lost.attempts, lost.result["encoder"]) == ("completed", 1, "libx264")
        log = Folders.of(node_config(tmp_path)).log(lost.job_id, lost.fence).read_text()
        # Which call of the driver fails first is chance: one of the encoder, or one of its context.
        said = "h264_nvenc: the GPU (stopped encoding|failed): .*; the video is encoded again with libx264"
        assert re.search(said, log), log
        (driver.state / "lost.0").unlink()  # the card was reset; the node is started again
        good = rendered_with(driver, tmp_path, ops, "good")
        assert good.result is not None, good.error_message
        assert (good.status, good.result["encoder"]) == ("completed", "h264_nvenc")
    assert ops.problems == []
    told = [(body["type"], body["data"]["cause"], body["data"]["title"]) for body in ops.got]
    assert told == [
        ("alert.raised", "GPU lost", "GPU lost"),
        ("alert.recovered", "GPU lost", "works again: GPU lost"),
    ]
    assert f"{lost.job_id}: no GPU is left; encoded by libx264" in ops.got[0]["data"]["text"]
