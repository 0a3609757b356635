"""Leases: whatever the clocks and the delays, the machine's end comes before the node's."""

from __future__ import annotations

import random

from video_pipeline.engine.jobs.dispatch.lease import MARGIN_SECONDS, MachineLease, NodeLease

LEASE = 4.0


def test_the_machine_ends_before_the_node_whatever_is_delayed_or_lost_on_the_way() -> None:
    for seed in range(300):
        rng = random.Random(seed)
        machine_ahead = rng.uniform(-1e6, 1e6)
        now = 0.0
        machine = MachineLease(LEASE, clock=lambda: now + machine_ahead)  # noqa: B023 - the loop's own time
        node = NodeLease(LEASE, now=now)
        for _ in range(rng.randrange(1, 30)):
            now += rng.expovariate(1)  # the poll is on its way
            machine.renew(node.received)
            number = machine.number_reply()
            if rng.random() < 0.3:
                continue  # the reply is lost
            now += rng.expovariate(1)
            node.renew(number, now=now)
            assert machine.until - machine_ahead + MARGIN_SECONDS <= node.until, f"seed {seed}"


def test_a_lease_is_renewed_only_by_a_reply_that_the_node_has_received() -> None:
    now = 100.0
    machine = MachineLease(LEASE, clock=lambda: now)
    assert machine.until == 100
    number = machine.number_reply()
    now = 103.0
    machine.renew(0)
    machine.renew(number + 1)
    assert machine.until == 100
    machine.renew(number)
    assert machine.until == 104, "from the moment of the reply, not of its receipt"
    machine.renew(number)
    assert machine.until == 104


def test_the_node_waits_the_lease_and_the_margin_after_the_last_reply() -> None:
    node = NodeLease(LEASE, now=0.0)
    node.renew(1, now=10.0)
    assert not node.has_ended(10 + LEASE + MARGIN_SECONDS - 0.001)
    assert node.has_ended(10 + LEASE + MARGIN_SECONDS)
