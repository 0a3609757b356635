"""Upgrade fleets while clients submit jobs, in two orders, and print how long no job ended.

    python -m tests.soak_upgrade [--machines 4] [--times 1]

Needs root: the machines are network namespaces. Every acknowledged job must complete once and uncharged, and be made by a
machine of the version that its server has.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.support.fleet_upgrade import Order, fleet_to_upgrade

ORDERS: tuple[Order, ...] = ("half first", "server first")


def main() -> int:
    """Run the upgrades and check them."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak_upgrade", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--machines", type=int, default=4)
    parser.add_argument("--times", type=int, default=1, help="upgrades in each order (default 1)")
    given = parser.parse_args()
    for order in ORDERS * given.times:
        with (
            tempfile.TemporaryDirectory(prefix="upgrade-") as name,
            fleet_to_upgrade(Path(name), machines=given.machines) as fleet,
        ):
            print(f"{order}, {given.machines} machines", flush=True)
            found = fleet.upgrade(order)
            fleet.check(found)
            print(
                f"{order}: {len(found.jobs)} jobs completed; the upgrade took {found.seconds:.0f} s, and the longest time "
                f"without a job's end was {max(found.gaps):.1f} s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
