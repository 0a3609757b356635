"""`video-pipeline tune`: search encoder settings on the user's own material, and show what was found."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine.cli.command import Command
from video_pipeline.engine.cli.help_format import HelpFormatter
from video_pipeline.engine.cli.tune_answers import ANSWER_VERBS, add_answer_verbs
from video_pipeline.engine.common.counts import count_text
from video_pipeline.engine.common.documents import json_text
from video_pipeline.engine.common.process import importing

if TYPE_CHECKING:
    from video_pipeline.engine.cli.tune_progress import TuneReporter
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.tuning.objective import Objective

EPILOG = """examples:
  video-pipeline tune run -o run.sqlite
  video-pipeline tune run story.json --held-out other.json --space mine.yaml -o run.sqlite
  video-pipeline tune run corpus --guided --trials 60 --minutes 120 -o run.sqlite
  video-pipeline tune resume run.sqlite
  video-pipeline tune show run.sqlite
  video-pipeline tune report run.sqlite -o run.html --min-vmaf 97
  video-pipeline tune profile run.sqlite mine -o mine.yaml --min-vmaf 97 --max-mbit 6
"""


def _add_verbs(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Encode clips with many settings, measure speed, size and quality, and store each result."
    )
    parser.epilog = EPILOG
    verbs = parser.add_subparsers(
        dest="verb", metavar="{run,resume,show,report,best,profile,compare}", required=True
    )
    run = verbs.add_parser(
        "run",
        help="search settings on some material",
        description="Search settings on stories, video files or the built-in corpus, and store every result in a file as "
        "soon as it is measured. Whatever ends the run, `tune resume` goes on with it.",
        formatter_class=HelpFormatter,
    )
    run.add_argument(
        "material",
        nargs="*",
        metavar="MATERIAL",
        help="story, video file, or `corpus` (default; `corpus:still,grain` are two of its clips)",
    )
    run.add_argument(
        "--held-out",
        action="append",
        metavar="MATERIAL",
        help="material on which the best settings are only checked; several times for several; default: the corpus's other "
        "part, with the corpus",
    )
    run.add_argument("-o", "--output", metavar="RUN.sqlite", type=Path, required=True, help="file of the run")
    run.add_argument("--config", metavar="FILE", type=Path, help="configuration file (YAML)")
    picture = run.add_argument_group("picture", "of stories and of the corpus; a video file has its own")
    picture.add_argument("--size", metavar="WxH", help="frame size; default: the configuration's")
    picture.add_argument("--fps", metavar="N", help="frames per second; default: the configuration's")
    picture.add_argument(
        "--seconds",
        metavar="S",
        type=float,
        help="seconds taken from each file (default 24), and of each clip of the corpus (default 4)",
    )
    search = run.add_argument_group("search")
    search.add_argument(
        "--space",
        metavar="NAME|FILE",
        default="presets",
        help="search space: presets (default), x264, nvenc, or a YAML file",
    )
    how = search.add_mutually_exclusive_group()
    how.add_argument(
        "--grid", dest="strategy", action="store_const", const="grid", help="every combination (default)"
    )
    how.add_argument(
        "--guided",
        dest="strategy",
        action="store_const",
        const="guided",
        help="choose each trial by the results before it (needs the extra `tune`)",
    )
    search.add_argument("--trials", metavar="N", type=int, help="the most trials; of a grid a random choice")
    search.add_argument("--minutes", metavar="M", type=float, help="the most minutes")
    search.add_argument("--goals", metavar="A,B", help="what a guided search aims at; default: cpu,size,vmaf")
    search.add_argument("--min-vmaf", metavar="Q", type=float, help="the VMAF that a guided search aims for")
    search.add_argument(
        "--max-mbit", metavar="R", type=float, help="the Mbit/s that a guided search keeps to"
    )
    search.add_argument("--seed", metavar="N", type=int, default=1, help="of every random order; default: 1")
    measure = run.add_argument_group("measurement")
    measure.add_argument(
        "--repeats", metavar="N", type=int, default=3, help="encodings of each clip (default 3)"
    )
    measure.add_argument(
        "--metrics", metavar="A,B", help="default: vmaf,xpsnr,ssim,psnr; `none` measures speed and size alone"
    )
    measure.add_argument(
        "--every", metavar="N", type=int, default=4, help="VMAF of every n-th frame (default 4)"
    )
    _add_common(run)
    resume = verbs.add_parser(
        "resume",
        help="go on with a run that ended early",
        description="Go on with a run from what its file has.",
        formatter_class=HelpFormatter,
    )
    resume.add_argument("run", metavar="RUN.sqlite", type=Path, help="file of the run")
    resume.add_argument("--minutes", metavar="M", type=float, help="the most further minutes")
    resume.add_argument("--trials", metavar="N", type=int, help="the most trials in all")
    _add_common(resume)
    show = verbs.add_parser(
        "show",
        help="show a run's trials",
        description="Show what a run was made on and its trials, best speed first; also while it runs.",
        formatter_class=HelpFormatter,
    )
    show.add_argument("run", metavar="RUN", type=Path, help="file of the run, or its JSON")
    show.add_argument("--json", action="store_true", help="print JSON")
    add_answer_verbs(verbs)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jobs",
        metavar="N",
        type=int,
        help="encodings at once, each on a core of its own; faster, but timing suffers (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON event a line")
    parser.add_argument("-q", "--quiet", action="store_true", help="print errors only")


def _run_verb(arguments: argparse.Namespace) -> int:
    return _VERBS[arguments.verb](arguments)


def _run_search(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.tuning.run import start_run
        from video_pipeline.engine.tuning.sources import CORPUS, Sources, is_corpus
        from video_pipeline.engine.tuning.space import load_space

    training = tuple(arguments.material) or (CORPUS,)
    # Both parts of the corpus have clips of the same names.
    held_out = tuple(arguments.held_out or (training if all(map(is_corpus, training)) else ()))
    with _reporting(arguments) as reporter:
        ended = start_run(
            arguments.output,
            sources=Sources(training=training, held_out=held_out, seconds=arguments.seconds),
            space=load_space(arguments.space),
            objective=_objective(arguments),
            config=_config(arguments),
            config_file=arguments.config,
            jobs=1 if arguments.jobs is None else arguments.jobs,
            command=("video-pipeline", *sys.argv[1:]),
            watching=reporter.watching,
        )
    return _finish(arguments.output, ended, reporter)


def _resume(arguments: argparse.Namespace) -> int:
    with importing():
        from video_pipeline.engine.tuning.run import resume_run

    with _reporting(arguments) as reporter:
        ended = resume_run(
            arguments.run,
            minutes=arguments.minutes,
            trials=arguments.trials,
            jobs=arguments.jobs,
            watching=reporter.watching,
        )
    return _finish(arguments.run, ended, reporter)


@contextmanager
def _reporting(arguments: argparse.Namespace) -> Iterator[TuneReporter]:
    from video_pipeline.engine.cli.tune_progress import choose_tune_reporter

    with choose_tune_reporter(as_json=arguments.json, quiet=arguments.quiet) as reporter:
        yield reporter


def _finish(path: Path, ended: str, reporter: TuneReporter) -> int:
    """Print how a run ended; return 1 if not one trial worked."""
    from video_pipeline.engine.tuning.store import read_run

    data = read_run(path)
    done = sum(trial.status == "done" for trial in data.trials)
    failed = [trial for trial in data.trials if trial.status == "failed"]
    text = f"{path}: {count_text(done, 'trial')}" + (f", {len(failed)} failed" if failed else "")
    if ended == "time":
        text += f"; the time is up: video-pipeline tune resume {path}"
    if failed:
        text += (
            f"\nfirst failure: {failed[0].encoder} {_settings_text(failed[0].settings)}: {failed[0].error}"
        )
    reporter.finish(
        {"status": "completed", "run": str(path), "ended": ended, "done": done, "failed": len(failed)}, text
    )
    return 0 if done else 1


def _config(arguments: argparse.Namespace) -> Config:
    from video_pipeline.engine.config import load_config
    from video_pipeline.engine.config.values import parse_size
    from video_pipeline.engine.errors import ConfigError

    config = load_config(arguments.config)
    size = None
    if arguments.size:
        try:
            size = parse_size(arguments.size)
        except ValueError as error:
            raise ConfigError(f"--size: got {arguments.size!r}; {error}") from error
    return config.override("video", size=size, fps=arguments.fps)


def _objective(arguments: argparse.Namespace) -> Objective:
    from video_pipeline.engine.tuning.metrics import METRICS
    from video_pipeline.engine.tuning.objective import DEFAULT_GOALS, Objective, goals_of

    def names(text: str | None, default: tuple[Any, ...]) -> tuple[Any, ...]:
        if text is None:
            return default
        return () if text == "none" else tuple(part.strip() for part in text.split(",") if part.strip())

    metrics = names(arguments.metrics, METRICS)
    return Objective(
        strategy=arguments.strategy or "grid",
        goals=names(arguments.goals, goals_of(DEFAULT_GOALS, metrics)),
        metrics=metrics,
        every=arguments.every,
        repeats=arguments.repeats,
        seed=arguments.seed,
        trials=arguments.trials,
        minutes=arguments.minutes,
        min_vmaf=arguments.min_vmaf,
        max_mbit_s=arguments.max_mbit,
    )


def _show(arguments: argparse.Namespace) -> int:
    from video_pipeline.engine.tuning.overview import overview, overview_text
    from video_pipeline.engine.tuning.runs import read_any_run

    data = read_any_run(arguments.run)
    print(json_text(overview(data), indent=2) if arguments.json else overview_text(data))
    return 0


def _settings_text(settings: Any) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


_VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run_search,
    "resume": _resume,
    "show": _show,
    **ANSWER_VERBS,
}

COMMANDS: dict[str, Command] = {"tune": (_add_verbs, _run_verb)}
