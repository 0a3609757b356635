"""A few thousand wrong messages; `fuzz_protocol.py` sends as many as one likes."""

from __future__ import annotations

import random
from pathlib import Path

from tests.engine.jobs.server.fuzz_protocol import run


def test_wrong_messages_do_not_stop_or_swell_the_server_and_other_clients_are_served(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"seed {seed}")
    found = run(tmp_path, messages=4000, seed=seed, idle_seconds=1)
    print(found)
    assert found["faults"] == []
    assert found["internal_errors"] == 0
    assert found["messages"] == 4000
    assert found["flooded"]["requests"] > 20
