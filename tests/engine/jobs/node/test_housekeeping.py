"""Deleting old jobs: by a node once a day, and by `video-pipeline vacuum`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support.jobs import job_of, node_config, node_settings, submit, tiny_story
from tests.support.ledgers import FakeClock
from video_pipeline.engine.cli.main import main
from video_pipeline.engine.config import load_config
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.node.housekeeping import purge


def test_ended_jobs_past_their_time_go_with_their_logs_and_all_others_stay(tmp_path: Path) -> None:
    config = node_config(tmp_path, node={"keep_days": 30})
    folders, clock = Folders.of(config), FakeClock()
    folders.make()
    with Ledger(folders.ledger, clock=clock) as ledger:
        old, young, open_job = (submit(ledger, tiny_story(name)) for name in ("old", "young", "open"))
        logs = [folders.log(job_id, 1) for job_id in (old, young, open_job)]
        for log in logs:
            log.write_text("…")
        ledger.jobs.request_cancel(old)
        clock.run(31 * 86400)
        ledger.jobs.request_cancel(young)
        assert purge(ledger, folders, config) == {"jobs": 1, "files": 1}
        assert [log.exists() for log in logs] == [False, True, True]
        assert ledger.jobs.get(old) is None
        assert job_of(ledger, open_job).status == "queued"
        assert purge(ledger, folders, config) == {"jobs": 0, "files": 0}


def test_the_command_says_what_it_has_deleted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = node_settings(tmp_path)
    file = tmp_path / "node.yaml"
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    assert main(["vacuum", "--config", str(file)]) == 2
    assert "has no ledger" in capsys.readouterr().err
    folders = Folders.of(load_config(settings, environ=False))
    folders.make()
    past = FakeClock()
    past.wall_seconds = 1_700_000_000.0
    with Ledger(folders.ledger, clock=past) as ledger:
        for number in range(50):
            ledger.jobs.request_cancel(submit(ledger, tiny_story(str(number), text="x" * 3000)))
    size = folders.ledger.stat().st_size
    with Ledger(folders.ledger) as ledger:
        assert len(ledger.jobs.page(limit=100)) == 50
    settings["node"]["keep_days"] = 0.0001
    file.write_text(yaml.safe_dump({"video_pipeline": settings}))
    assert main(["vacuum", "--config", str(file), "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["jobs"] == 50
    assert done["ledger_bytes"] < size
