"""Alerts of GPUs that were lost: raised by the job that noticed, ended by one that a GPU encodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.jobs import node_config, submit, tiny_story
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
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
