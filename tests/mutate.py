"""Change one thing in a module, run the tests that cover it, and see whether they notice.

    python -m tests.mutate                                             all modules of TARGETS; also: make mutate
    python -m tests.mutate timing placement --sample 40 --seed 7       40 random mutants of each of two modules

Each mutant is a change of the module's syntax tree. It runs in a process of its own, in which the module is imported
with that change: no file is written. The tests that entered the changed function when nothing was changed run first,
quick ones before slow ones; if none of them fails, the others of the module's tests run too. Processes that a test
starts import the module as it is.

A survivor that is equivalent to the original, or harmless, has its reason in `mutate_allowed.yaml`. Exit status 1 if
there are other survivors.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from tests.support.mutant_runs import KILLED, SURVIVED, TIMED_OUT, Outcome, Target, judge, source_path
from tests.support.mutants import mutants_of, sample

ALLOWED: Final = Path(__file__).with_name("mutate_allowed.yaml")

LEDGER: Final = "tests/engine/jobs/ledger"
TUNING: Final = "tests/engine/tuning"
TARGETS: Final = tuple(
    Target(name, f"video_pipeline.{module}", tests)
    for name, module, tests in (
        ("attempts", "engine.jobs.ledger.attempts", (f"{LEDGER}/test_attempts.py", f"{LEDGER}/test_ledger.py", f"{LEDGER}/test_damage.py")),
        ("queue", "engine.jobs.ledger.queue", (f"{LEDGER}/test_queue.py", f"{LEDGER}/test_ledger.py", f"{LEDGER}/test_damage.py")),
        ("timing", "engine.timing", ("tests/engine/test_timing.py",)),
        ("placement", "engine.placement", ("tests/engine/test_placement.py", "tests/engine/test_timeline.py")),
        ("timeline", "engine.timeline", ("tests/engine/test_timeline.py",)),
        ("local", "engine.storage.local", ("tests/engine/storage/test_local.py",)),
        ("recovery", "engine.jobs.node.recovery", ("tests/engine/jobs/node/test_recovery.py", "tests/engine/storage/test_local.py", f"{LEDGER}/test_damage.py")),
        ("inbox", "engine.jobs.inputs.inbox", ("tests/engine/jobs/inputs/test_inbox.py",)),
        ("segment_key", "engine.render.segment_key", ("tests/engine/render/test_segment_key.py",)),
        ("segment_cache", "engine.render.segment_cache", ("tests/engine/render/test_segment_cache.py",)),
        ("addresses", "engine.net.addresses", ("tests/engine/net/test_addresses.py",)),
        ("loudness", "engine.render.sound.loudness", ("tests/engine/render/sound/test_loudness.py",)),
        ("subtitles", "engine.outputs.subtitles", ("tests/engine/outputs/test_subtitles.py",)),
        ("submit_check", "engine.jobs.server.submit_check", ("tests/engine/jobs/server/test_submit_check.py",)),
        ("files", "engine.common.files", ("tests/engine/common/test_files.py",)),
        ("sections", "engine.config.sections", ("tests/engine/config",)),
        ("encoder_keys", "engine.config.encoder_keys", ("tests/engine/config",)),
        ("ken_burns", "filters.ken_burns", ("tests/filters/test_ken_burns.py",)),
        ("geometry", "filters.geometry", ("tests/filters/test_geometry.py", "tests/filters/test_fit.py")),
        ("graph", "filters.graph", ("tests/filters/test_graph.py",)),
        ("fronts", "engine.tuning.fronts", (f"{TUNING}/test_fronts.py", f"{TUNING}/test_answers.py")),
        ("levels", "engine.tuning.levels", (f"{TUNING}/test_levels.py",)),
        ("resampling", "engine.tuning.resampling", (f"{TUNING}/test_resampling.py", f"{TUNING}/test_answers.py")),
        ("answers", "engine.tuning.answers", (f"{TUNING}/test_answers.py",)),
    )
)  # fmt: skip


def allowed_survivors(name: str) -> dict[tuple[str, str, str], str]:
    """Return the reasons of the mutants of a module that need not be noticed."""
    entries = (yaml.safe_load(ALLOWED.read_text(encoding="utf-8")) or {}).get(name, [])
    return {(entry["in"], entry["old"], entry["new"]): entry["why"] for entry in entries}


def report(
    name: str, outcomes: Sequence[Outcome], allowed: dict[tuple[str, str, str], str]
) -> tuple[str, list[str]]:
    """Return a module's row of the table, and its survivors that are not allowed, each as a small diff."""
    ends = Counter(outcome.end for outcome in outcomes)
    survivors = [outcome.mutant for outcome in outcomes if outcome.end == SURVIVED]
    real = [mutant for mutant in survivors if mutant.key not in allowed]
    counted = len(outcomes) - (len(survivors) - len(real))
    share = 100 * (counted - len(real)) / counted if counted else 100.0
    row = (
        f"| {name} | {len(outcomes)} | {ends[KILLED] + ends[TIMED_OUT]} | {ends[TIMED_OUT]} "
        f"| {len(survivors) - len(real)} | {len(real)} | {share:.0f} % |"
    )
    diffs = [
        f"{name}:{mutant.line} in {mutant.function or 'the module'} ({mutant.operator})\n"
        + "".join(f"  - {line}\n" for line in mutant.old.splitlines())
        + "".join(f"  + {line}\n" for line in mutant.new.splitlines())
        for mutant in real
    ]
    return row, diffs


HEAD: Final = (
    "| module | mutants | killed | of these timed out | survived, allowed | survived | killed of those that count |\n"
    "|---|---|---|---|---|---|---|"
)


def main(arguments: Sequence[str] | None = None, *, targets: Sequence[Target] = TARGETS) -> int:
    """Judge the mutants of modules; print the survivors and a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutate", description=__doc__.splitlines()[0])
    names = [target.name for target in targets]
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"{', '.join(names)}; none: all")
    parser.add_argument("--sample", type=int, default=0, help="random mutants of each module; 0: all")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="mutants judged at once")
    options = parser.parse_args(arguments)
    if unknown := set(options.modules) - set(names):
        parser.error(f"modules: got {', '.join(sorted(unknown))}; allowed: {', '.join(names)}")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    table, survived = [HEAD], False
    for target in targets:
        if options.modules and target.name not in options.modules:
            continue
        path = source_path(target.module)
        made = mutants_of(path.read_text(encoding="utf-8"), str(path))
        allowed = allowed_survivors(target.name)
        for function, old, new in sorted(allowed.keys() - {mutant.key for mutant in made}):
            print(
                f"{target.name}: {old!r} → {new!r} in {function or 'the module'} is allowed and no longer made"
            )
        mutants = sample(made, options.sample, seed=options.seed)
        outcomes = judge(target, mutants, processes=options.processes)
        row, diffs = report(target.name, outcomes, allowed)
        table.append(row)
        for diff in diffs:
            print(diff, flush=True)
            survived = True
    print("\n".join(table))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
