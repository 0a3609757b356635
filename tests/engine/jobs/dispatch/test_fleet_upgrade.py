"""A fleet gets another version while clients submit jobs: half of its machines, the server, the other machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fleet_upgrade import fleet_to_upgrade
from tests.support.jobs import long_story


@pytest.mark.soak
def test_a_fleet_is_upgraded_without_losing_a_job_and_none_is_made_by_a_machine_of_another_version(
    tmp_path: Path,
) -> None:
    with fleet_to_upgrade(tmp_path, machines=2) as fleet:
        made = fleet.made
        drained = made.submit(long_story("drained", seconds=100))
        leaving = made.machine_of(drained)
        made.machines.sort(key=lambda machine: machine is not leaving)  # it is upgraded first
        fleet.check(fleet.upgrade("half first"))
        assert made.job(drained).fence == 1
