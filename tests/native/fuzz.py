"""Draw with the native kernels at random for a while: `python tests/native/fuzz.py --seconds 20 --seed 7`.

Right calls, of odd sizes, strides and places, must draw the same bytes with every target, from one thread or several,
and write nothing else. Wrong calls must raise and write nothing at all. What the program cannot see, the sanitizers
do: `make sanitize` runs it in an extension built with them.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[2]))  # where this is run as a program

from tests.support.kernel_calls import MAKERS, Array, Call, Rng, describe_call
from tests.support.wrong_calls import refused, spoil, wrong_overlay
from video_pipeline.native import _core as core

THREADS = 4


def draw_with_every_target(call: Call) -> list[Array]:
    """Draw, and compare the bytes."""
    first: list[Array] = []
    for name in core.usable_targets():
        call.reset()
        core.force_target(name)
        call.run()
        call.check(drawn=True)
        drawn = call.drawn()
        first = first or drawn
        same = all(np.array_equal(one, other) for one, other in zip(first, drawn, strict=True))
        assert same, f"{name} draws other bytes than the plainest target"
    return first


def draw_in_threads(rng: Rng, calls: list[Call]) -> None:
    """Draw from several threads while targets change."""
    expected = [draw_with_every_target(call) for call in calls]
    for call in calls:
        call.reset()
    with ThreadPoolExecutor(THREADS + 1) as pool:
        jobs = [pool.submit(call.run) for call in calls]
        while not all(job.done() for job in jobs):
            core.force_target(str(rng.choice([*core.usable_targets(), "auto"])))
        for job in jobs:
            job.result()
    for call, wanted in zip(calls, expected, strict=True):
        call.check(drawn=True)
        same = all(np.array_equal(one, other) for one, other in zip(wanted, call.drawn(), strict=True))
        assert same, f"{describe_call(call)} draws other bytes beside other threads"


def case(rng: Rng, *, verbose: bool = False) -> str:
    """Make one random call; return its name."""
    kind = rng.random()
    if kind < 0.02:
        wrong_overlay(rng)
        return "wrong overlays"
    call = MAKERS[rng.integers(len(MAKERS))](rng)
    if kind < 0.06:
        others = [MAKERS[rng.integers(len(MAKERS))](rng) for _ in range(3 * THREADS - 1)]
        draw_in_threads(rng, [call, *others])
        return "threads"
    if kind < 0.4:
        call = spoil(rng, call)
    if verbose:
        print("   ", describe_call(call), flush=True)
    if kind < 0.4:
        with refused(describe_call(call)):
            call.run()
        call.check(drawn=False)
        return f"wrong {call.kernel}"
    try:
        draw_with_every_target(call)
    except Exception as error:
        error.add_note(describe_call(call))
        raise
    return call.kernel


def run(*, seconds: float, seed: int, first: int = 0, verbose: bool = False) -> Counter[str]:
    """Draw for `seconds`; return the number of calls by name. Each case has its own seed."""
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    number = first
    try:
        # nanobind warns of an overlay that was never made, and then refuses it.
        warnings.filterwarnings(
            "ignore", message="nanobind: attempted to access an uninit", category=RuntimeWarning
        )
        while number == first or time.monotonic() < end:
            if verbose:
                print(f"case {number}", flush=True)
            try:
                done[case(np.random.default_rng([seed, number]), verbose=verbose)] += 1
            except BaseException:
                print(f"failed: --seed {seed} --first {number}", flush=True)
                raise
            number += 1
    finally:
        core.force_target("auto")
    return done


def main() -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(np.random.SeedSequence().generate_state(1)[0]))
    parser.add_argument("--first", type=int, default=0, help="the first case; each has a seed of its own")
    parser.add_argument("--verbose", action="store_true", help="print each case before it is drawn")
    parser.add_argument(
        "--sanitized", action="store_true", help="fail unless the extension has the sanitizers"
    )
    options = parser.parse_args()
    print(
        f"fuzz: seed {options.seed}, {core.__file__}, targets {', '.join(core.usable_targets())}", flush=True
    )
    if options.sanitized and b"__asan_init" not in Path(core.__file__).read_bytes():
        sys.exit("this extension was built without the sanitizers")
    done = run(seconds=options.seconds, seed=options.seed, first=options.first, verbose=options.verbose)
    print("fuzz: " + ", ".join(f"{count} {what}" for what, count in sorted(done.items())))


if __name__ == "__main__":
    main()
