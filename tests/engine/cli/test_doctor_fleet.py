"""What `doctor` says of a fleet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.server import node_config
from video_pipeline.engine.cli.doctor_fleet import examine_fleet, fleet_line


def test_doctor_says_whether_this_machine_can_be_in_a_fleet(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    config = node_config(tmp_path)
    assert fleet_line(examine_fleet(config)).startswith("fleet         off (Ray ")
    wrong = config.override("fleet", bind="127.0.0.1")
    assert fleet_line(examine_fleet(wrong)).startswith(
        "fleet         no  fleet.bind: got 127.0.0.1; give an address"
    )
    found = {
        "ray": "2.60.0",
        "problem": None,
        "address": "10.0.0.1:6379",
        "bind": "10.0.0.2",
        "encrypted": True,
    }
    assert fleet_line(found) == "fleet         yes 10.0.0.1:6379 from 10.0.0.2, encrypted, Ray 2.60.0"
    assert "pip install 'video-pipeline[fleet]'" in fleet_line({**found, "ray": None})
