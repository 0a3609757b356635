"""What operators are told of the machines of a node."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.jobs import node_config
from video_pipeline.engine.common.clock import SYSTEM_CLOCK
from video_pipeline.engine.jobs import node_messages as n
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.machines import write_machines
from video_pipeline.engine.jobs.server.node_requests import NodeRequests
from video_pipeline.engine.publish.job_publications import JobPublications

OPERATOR = "local"


def seen(name: str, state: str) -> n.MachineView:
    now = datetime.now(UTC)
    return n.MachineView(
        name=name,
        state=state,  # type: ignore[arg-type]
        version="1",
        cores=2,
        memory_bytes=1 << 30,
        slots=1,
        warm=0,
        running=0,
        started_at=now,
        seen_at=now,
    )


@pytest.mark.parametrize("reported", ["ready", "not ready", "draining"])
def test_a_drained_machine_is_draining_whatever_it_has_reported(tmp_path: Path, reported: str) -> None:
    config = node_config(tmp_path)
    folders = Folders.of(config)
    folders.make()
    told: list[tuple[str, bool]] = []
    with Ledger(folders.ledger, clock=SYSTEM_CLOCK) as ledger:
        about = NodeRequests(
            ledger,
            config,
            JobPublications(tmp_path / "publications.db"),
            clock=SYSTEM_CLOCK,
            on_drain=lambda name, on: told.append((name, on)),
        )
        write_machines(folders.machines, [seen("one", reported), seen("two", "not ready")])

        def states(request: n.Drain | n.ListMachines) -> dict[str, str]:
            found = about.answer(request, OPERATOR)
            assert isinstance(found, n.Machines)
            return {machine.name: machine.state for machine in found.machines}

        assert states(n.Drain(machine="one")) == {"one": "draining", "two": "not ready"}
        assert states(n.ListMachines()) == {"one": "draining", "two": "not ready"}
        works = "not ready" if reported == "not ready" else "ready"
        assert states(n.Drain(machine="one", on=False)) == {"one": works, "two": "not ready"}
    assert told == [("one", True), ("one", False)]
