"""`video-pipeline tune report | best | profile | compare`: what a tuning run says."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from video_pipeline.engine.cli.help_format import HelpFormatter
from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import importing
from video_pipeline.engine.errors import InputError, PipelineError

if TYPE_CHECKING:
    from video_pipeline.engine.tuning.answers import Answer
    from video_pipeline.engine.tuning.queries import Query
    from video_pipeline.engine.tuning.records import Part, RunData
    from video_pipeline.engine.tuning.report.content import Report
    from video_pipeline.engine.tuning.report.crops import Crop

Subparsers = argparse._SubParsersAction  # the type has no public name

LIMITS: Final = {
    "min_vmaf": ("Q", "mean VMAF of at least this"),
    "min_p1": ("Q", "1st percentile of VMAF of at least this"),
    "min_phone": ("Q", "VMAF on a phone's screen of at least this"),
    "min_xpsnr": ("DB", "XPSNR of luma of at least this"),
    "min_ssim": ("S", "SSIM of at least this"),
    "max_mbit": ("R", "at most this many Mbit/s"),
    "min_fps": ("F", "at least this many frames a second of one encode"),
    "max_vmaf_loss": ("Q", "VMAF at most so much below the reference's"),
    "max_p1_loss": ("Q", "1st percentile of VMAF at most so much below the reference's"),
    "max_xpsnr_loss": ("DB", "XPSNR at most so much below the reference's"),
    "max_bytes": ("N", "at most N times the reference's bytes"),
}
"""The options of a query's limits: metavar and help."""

GOALS: Final = ("fastest", "smallest", "best")
PICTURES: Final = 3


def add_answer_verbs(verbs: Subparsers[argparse.ArgumentParser]) -> None:
    """Add the subcommands that say what a run found to those of `tune`."""
    report = verbs.add_parser(
        "report",
        help="write what a run found as a page, JSON or CSV",
        description="Print a run's trials and its answer, and write them: a page of one file (.html) with plots, a table "
        "to sort and filter, and crops of the worst frames; everything as JSON (.json), which other commands of tune read "
        "like the run; or the trials as CSV. The answer is the fastest settings within the limits; default: those of the "
        "search, or no worse and no larger than x264's medium at 8000k if the run has it.",
        epilog="example:\n  video-pipeline tune report run.sqlite -o run.html -o run.json -o run.csv --min-vmaf 97",
        formatter_class=HelpFormatter,
    )
    report.add_argument("run", metavar="RUN", type=Path, help="file of the run, or its JSON")
    report.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        action="append",
        help="file to write: .html, .json or .csv; several times for several; default: the run's name with .html",
    )
    _add_query(report)
    report.add_argument(
        "--pictures",
        metavar="N",
        type=int,
        default=PICTURES,
        help=f"worst frames to show, encoded again for it (default {PICTURES}; 0: none)",
    )
    report.add_argument(
        "--config", metavar="FILE", type=Path, help="configuration file (YAML), for the cache"
    )
    report.add_argument("--json", action="store_true", help="print JSON")
    report.add_argument("-q", "--quiet", action="store_true", help="print errors only")
    best = verbs.add_parser(
        "best",
        help="print the best settings within limits",
        description="Print the fastest, smallest or best settings of a run within limits, how sure that is, and how much "
        "a machine encodes with them.",
        epilog="examples:\n  video-pipeline tune best run.sqlite --min-vmaf 97 --max-mbit 6\n"
        "  video-pipeline tune best run.sqlite --goal smallest --min-fps 60 --min-vmaf 95 --price 0.35",
        formatter_class=HelpFormatter,
    )
    best.add_argument("run", metavar="RUN", type=Path, help="file of the run, or its JSON")
    _add_query(best)
    best.add_argument("--json", action="store_true", help="print JSON")
    profile = verbs.add_parser(
        "profile",
        help="write the best settings within limits as a profile",
        description="Write the settings that `tune best` finds as a profile for `render --profile FILE.yaml`, with the "
        "run's JSON and its hash as evidence. A run that is not yet in JSON is written beside the profile.",
        epilog="example:\n  video-pipeline tune profile run.json social -o social.yaml --min-vmaf 97 --max-mbit 6",
        formatter_class=HelpFormatter,
    )
    profile.add_argument("run", metavar="RUN", type=Path, help="file of the run, or its JSON")
    profile.add_argument("name", metavar="NAME", help="the profile's name")
    profile.add_argument(
        "-o", "--output", metavar="FILE.yaml", type=Path, help="file of the profile; default: NAME.yaml"
    )
    profile.add_argument("--description", metavar="TEXT", help="default: what was asked for")
    profile.add_argument("--trial", metavar="N", type=int, help="this trial's settings, whatever the limits")
    _add_query(profile)
    profile.add_argument("--json", action="store_true", help="print JSON")
    compare = verbs.add_parser(
        "compare",
        help="print what changed between two runs",
        description="Compare the settings and clips that two runs share: what changed in speed beyond noise, and every "
        "change of bytes and quality.",
        epilog="example:\n  video-pipeline tune compare before.json after.sqlite",
        formatter_class=HelpFormatter,
    )
    compare.add_argument("before", metavar="A", type=Path, help="file of the first run, or its JSON")
    compare.add_argument("after", metavar="B", type=Path, help="file of the second run, or its JSON")
    compare.add_argument("--held-out", action="store_true", help="compare the held-out clips")
    compare.add_argument("--json", action="store_true", help="print JSON")


def _add_query(parser: argparse.ArgumentParser) -> None:
    query = parser.add_argument_group("query")
    query.add_argument("--goal", choices=GOALS, help="default: fastest")
    query.add_argument("--encoder", metavar="NAME", help="settings of this encoder alone")
    for name, (metavar, words) in LIMITS.items():
        query.add_argument(f"--{name.replace('_', '-')}", metavar=metavar, type=float, help=words)
    query.add_argument(
        "--reference", metavar="N", type=int, help="trial to compare with; default: x264's medium at 8000k"
    )
    query.add_argument(
        "--price", metavar="P", type=float, help="price of an hour of the machine, in any currency"
    )


def _query(arguments: argparse.Namespace) -> Query | None:
    """Return what is asked for; None if nothing is."""
    from video_pipeline.engine.tuning.queries import Query

    limits = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    if not limits and arguments.goal is None and arguments.encoder is None:
        return None
    return Query(goal=arguments.goal or "fastest", limits=limits, encoder=arguments.encoder)


def _find_answer(arguments: argparse.Namespace, data: RunData) -> Answer:
    from video_pipeline.engine.tuning.analysis import analyse, find_reference
    from video_pipeline.engine.tuning.answers import answer
    from video_pipeline.engine.tuning.report.content import default_query

    analysis = analyse(data)
    reference = find_reference(analysis.samples) if arguments.reference is None else arguments.reference
    query = _query(arguments) or default_query(analysis, reference)
    return answer(analysis, query, reference=reference, price=arguments.price)


def _make_report(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.tuning.report.content import make_report, report_data
        from video_pipeline.engine.tuning.report.tables import text_table
        from video_pipeline.engine.tuning.report.words import answer_lines
        from video_pipeline.engine.tuning.runs import load_run

    outputs = arguments.output or [arguments.run.with_suffix(".html")]
    _check_outputs(outputs, arguments.run)
    if arguments.pictures < 0:
        raise InputError(f"pictures: got {arguments.pictures}; allowed: 0 or more")
    data = load_run(arguments.run)
    report = make_report(data, query=_query(arguments), reference=arguments.reference, price=arguments.price)
    _write_report(report, outputs, arguments)
    if arguments.json:
        print(json_text(report_data(report), indent=2))
    elif not arguments.quiet:
        marks = {} if report.reference is None else {report.reference: "reference"}
        if report.answer is not None:
            marks[report.answer.chosen.trial.number] = "chosen"
        ordered = sorted(report.summaries, key=lambda each: each.cpu_s_per_minute)
        lines = answer_lines(report.answer) if report.answer is not None else (report.unanswered,)
        print(text_table(ordered, marks=marks), *lines, sep="\n")
        print(*(f"written: {path}" for path in outputs), sep="\n")
    return 0


def _check_outputs(outputs: list[Path], run: Path) -> None:
    for path in outputs:
        if path.suffix.lower() not in WRITERS:
            raise InputError(f"output: got {path}; allowed: names that end in {', '.join(WRITERS)}")
        if path.resolve() == run.resolve():
            raise InputError(f"output: got {path}, which is the run itself; name another file")


def _write_report(report: Report, outputs: list[Path], arguments: argparse.Namespace) -> None:
    from video_pipeline.engine.common.files import write_text

    for path in outputs:
        text = WRITERS[path.suffix.lower()](report, arguments)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)
        except OSError as error:
            raise InputError(f"output {path}: cannot be written: {error.strerror}") from error


def _page(report: Report, arguments: argparse.Namespace) -> str:
    from video_pipeline.engine.tuning.report.page import page_html

    crops, reason = _crops(report, arguments)
    return page_html(report, crops=crops, no_crops=reason, commands=[_report_command(arguments)])


def _crops(report: Report, arguments: argparse.Namespace) -> tuple[list[Crop], str]:
    """Return the crops of the worst frames, or why there are none."""
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.tuning.redraw import redraw_clips
    from video_pipeline.engine.tuning.report.crops import crop_frames, worst_places

    if arguments.pictures == 0 or report.answer is None:
        return [], "No pictures were asked for." if report.answer else "No settings were chosen."
    answer = report.answer
    numbers = [answer.chosen.trial.number]
    if answer.held_out is not None:
        numbers.append(answer.held_out.summary.trial.number)
    places = worst_places(report.data, numbers, count=arguments.pictures)
    if not places:
        return [], "The run has not measured which frames are the worst."
    trials = [answer.chosen.trial]
    if answer.against is not None and answer.against.reference.trial != answer.chosen.trial:
        trials.append(answer.against.reference.trial)
    if not arguments.quiet:
        print(f"encoding {count_text(len(places), 'worst frame')} again", file=sys.stderr, flush=True)
    try:
        config = load_config(arguments.config)
        clips = redraw_clips(arguments.run, report.data, [place.clip for place in places], config=config)
        return list(crop_frames(places, trials, clips)), ""
    except PipelineError as error:
        print(f"no pictures: {error}", file=sys.stderr, flush=True)
        return [], f"There are no pictures: {error}."


def _report_command(arguments: argparse.Namespace) -> str:
    """Return the command that makes the report, for a shell."""
    words = ["video-pipeline", "tune", "report", str(arguments.run)]
    for path in arguments.output or ():
        words += ["-o", str(path)]
    for name in ("goal", "encoder", *LIMITS, "reference", "price"):
        value = getattr(arguments, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)]
    if arguments.pictures != PICTURES:
        words += ["--pictures", str(arguments.pictures)]
    return shlex.join(words)


def _report_json(report: Report, arguments: argparse.Namespace) -> str:
    from video_pipeline.engine.tuning.report.content import report_data
    from video_pipeline.engine.tuning.runs import run_as_json

    return run_as_json(report.data, more={"report": report_data(report)})


def _csv(report: Report, arguments: argparse.Namespace) -> str:
    from video_pipeline.engine.tuning.report.tables import csv_text

    return csv_text({"training": report.summaries, "held_out": report.held_out}, report.front)


WRITERS: Final[Mapping[str, Callable[..., str]]] = {
    ".html": _page,
    ".json": _report_json,
    ".csv": _csv,
}
"""How each kind of file is written, by its suffix."""


def _best(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.tuning.report.content import answer_data
        from video_pipeline.engine.tuning.report.words import answer_lines
        from video_pipeline.engine.tuning.runs import load_run

    found = _find_answer(arguments, load_run(arguments.run))
    print(json_text(answer_data(found), indent=2) if arguments.json else "\n".join(answer_lines(found)))
    return 0


def _profile(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.common.files import write_text
        from video_pipeline.engine.config.profiles import check_profile_target, write_profile
        from video_pipeline.engine.tuning.analysis import analyse
        from video_pipeline.engine.tuning.chosen_profile import free_evidence, make_profile
        from video_pipeline.engine.tuning.report.words import query_text, trial_text
        from video_pipeline.engine.tuning.runs import is_database, load_run, run_as_json

    data = load_run(arguments.run)
    target = arguments.output or Path(f"{arguments.name}.yaml")
    if arguments.trial is None:
        found = _find_answer(arguments, data)
        trial, words = found.chosen.trial, query_text(found.query)
    else:
        trial, words = analyse(data).of(arguments.trial).trial, f"Trial {arguments.trial}"
    description = arguments.description or f"{words}, of run {data.run.id}."
    check_profile_target(target)
    text = run_as_json(data) if is_database(arguments.run) else None
    evidence = arguments.run if text is None else free_evidence(target, text)
    profile = make_profile(
        arguments.name, trial, evidence=evidence, target=target, description=description, text=text
    )
    if text is not None and not evidence.exists():
        try:
            write_text(evidence, text)
        except OSError as error:
            raise InputError(f"evidence {evidence}: cannot be written: {error.strerror}") from error
    write_profile(profile, target)
    if arguments.json:
        print(json_text({"profile": str(target), **profile.as_data()}, indent=2))
    else:
        print(f"{target}: {trial_text(trial)}\nevidence: {evidence}")
    return 0


def _compare_two_runs(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.tuning.compare import compare_runs
        from video_pipeline.engine.tuning.report.comparing import comparison_data, comparison_lines
        from video_pipeline.engine.tuning.runs import load_run

    part: Part = "held_out" if arguments.held_out else "training"
    found = compare_runs(load_run(arguments.before), load_run(arguments.after), part=part)
    if arguments.json:
        print(json_text(comparison_data(found), indent=2))
    else:
        print("\n".join(comparison_lines(found)))
    return 0


ANSWER_VERBS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "report": _make_report,
    "best": _best,
    "profile": _profile,
    "compare": _compare_two_runs,
}
"""The subcommands of `tune` that say what a run found."""
