"""Start a tuning run, or go on with one, from what the user asks for."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from video_pipeline.engine.assets.cache_folder import open_asset_cache, scratch_folder
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.errors import InputError
from video_pipeline.engine.machine.ffmpeg_program import FfmpegProgram
from video_pipeline.engine.tuning.environment import describe_machine, describe_versions
from video_pipeline.engine.tuning.material import RawClip
from video_pipeline.engine.tuning.metrics import find_measuring_ffmpeg
from video_pipeline.engine.tuning.objective import Objective, check_objective, read_objective
from video_pipeline.engine.tuning.records import Run
from video_pipeline.engine.tuning.search import Ended, OnProgress, Search, check_jobs
from video_pipeline.engine.tuning.sources import Drawn, Sources, gather_clips, read_sources
from video_pipeline.engine.tuning.space import Space, load_space
from video_pipeline.engine.tuning.store import RunStore, check_free, read_asked, read_run

logger = logging.getLogger(__name__)


def _nothing(*values: Any) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """Who is told of a run, and what stops it: clips drawn, the progress of the search, an event."""

    drawn: Drawn = _nothing
    progress: OnProgress = _nothing
    stop: threading.Event | None = None


QUIET = Watching()


def start_run(
    path: Path,
    *,
    sources: Sources,
    space: Space,
    objective: Objective,
    config: Config,
    config_file: Path | None = None,
    jobs: int = 1,
    command: tuple[str, ...] = (),
    watching: Watching = QUIET,
) -> Ended:
    """Search a space on some material and store everything in a new file at `path`; return how the search ended.

    Raises InputError for anything wrong with what is asked for, before a file is made, AssetError or RenderingError.
    """
    check_objective(objective)
    check_jobs(jobs, space)
    if objective.strategy == "grid":
        space.grid()  # its errors come before anything is drawn
    _check_target(path)
    config = config.override("video", size=config.video.canvas_px(), proxy=False)
    cache = open_asset_cache(config)
    ffmpeg = find_measuring_ffmpeg(objective.metrics, cache) if objective.metrics else None
    clips = gather_clips(sources, config=config, cache=cache, drawn=watching.drawn)
    for clip in clips:
        for note in clip.notes:
            logger.warning("clip %s: %s", clip.name, note)
    run = Run(
        id=secrets.token_hex(8),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=describe_machine(),
        versions=describe_versions(space.encoders(), ffmpeg),
        material=_describe_material(clips, sources),
        space=space.describe(),
        objective=objective.describe(),
        command=command,
    )
    request = {
        "sources": sources.describe(),
        "config": None if config_file is None else str(config_file.absolute()),
        "size": list(config.video.canvas_px()),
        "fps": str(config.video.fps),
        "compositor": config.video.compositor,
        "jobs": jobs,
    }
    with RunStore.create(path, run, request) as store:
        return _search(store, clips, space, objective, ffmpeg, config, jobs, watching)


def resume_run(
    path: Path,
    *,
    minutes: float | None = None,
    trials: int | None = None,
    jobs: int | None = None,
    watching: Watching = QUIET,
) -> Ended:
    """Go on with a run from what its file has; return how the search ended.

    `minutes` are further ones, whatever was spent before, `trials` all of a guided search; None: as the run was started. Raises InputError for a file
    that is no run, or if the run's material or the encoder's version has changed since, AssetError or RenderingError.
    """
    with RunStore.open(path) as store:
        run, request = store.run(), store.request()
        with _as_stored(path):
            objective = read_objective(run.objective)
            space = load_space(run.space)
            sources, jobs_before = read_sources(request["sources"]), int(request["jobs"])
            form = _form_of(request)
        if minutes is not None:
            objective = replace(objective, minutes=minutes)
        if trials is not None:
            objective = replace(objective, trials=trials)
        check_objective(objective)
        jobs = check_jobs(jobs_before if jobs is None else jobs, space)
        config = _config_of(request, form)
        cache = open_asset_cache(config)
        ffmpeg = find_measuring_ffmpeg(objective.metrics, cache) if objective.metrics else None
        _check_same(path, run, describe_versions(space.encoders(), ffmpeg))
        clips = gather_clips(sources, config=config, cache=cache, drawn=watching.drawn)
        _check_material(path, run.material, clips)
        return _search(
            store,
            clips,
            space,
            objective,
            ffmpeg,
            config,
            jobs,
            watching,
            afresh=minutes is not None,
        )


def run_clips(path: Path, *, drawn: Drawn = _nothing) -> tuple[RawClip, ...]:
    """Return the clips of a run, drawn if they are no longer cached; also while it is searched.

    Raises InputError if the run's material has changed since, AssetError or RenderingError.
    """
    request = read_asked(path)
    with _as_stored(path):
        sources, form = read_sources(request["sources"]), _form_of(request)
    config = _config_of(request, form)
    clips = gather_clips(sources, config=config, cache=open_asset_cache(config), drawn=drawn)
    _check_material(path, read_run(path).run.material, clips)
    return clips


def _search(
    store: RunStore,
    clips: tuple[RawClip, ...],
    space: Space,
    objective: Objective,
    ffmpeg: FfmpegProgram | None,
    config: Config,
    jobs: int,
    watching: Watching,
    *,
    afresh: bool = False,
) -> Ended:
    with scratch_folder(config) as scratch:
        search = Search(
            store,
            clips,
            space,
            objective,
            ffmpeg=ffmpeg,
            scratch=scratch,
            jobs=jobs,
            progress=watching.progress,
            stop=watching.stop,
            afresh=afresh,
        )
        return search.run()


def _check_target(path: Path) -> None:
    check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"run {path}: its folder cannot be made: {error.strerror}") from error


def _describe_material(clips: tuple[RawClip, ...], sources: Sources) -> dict[str, Any]:
    return {
        "clips": [clip.describe() for clip in clips],
        "frames": sum(clip.frames for clip in clips),
        "seconds": round(float(sum(clip.seconds for clip in clips)), 3),
        "sources": {
            "training": [Path(name).name for name in sources.training],
            "held_out": [Path(name).name for name in sources.held_out],
        },
    }


@contextmanager
def _as_stored(path: Path) -> Iterator[None]:
    """Raise InputError naming the file of a run if what it was asked for cannot be read from it."""
    try:
        yield
    except KeyError as error:
        raise InputError(f"run {path}: is damaged: {error} is missing in what was asked for") from error
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"run {path}: is damaged, or of another version: {error}") from error


def _form_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of `video` that a run was started with; raise KeyError, TypeError or ConfigError."""
    form = {
        "size": tuple(request["size"]),
        "fps": request["fps"],
        "compositor": request["compositor"],
        "proxy": False,
    }
    load_config({}, environ=False).override("video", **form)
    return form


def _config_of(request: Mapping[str, Any], form: Mapping[str, Any]) -> Config:
    """Return the configuration that a run was started with."""
    file = request.get("config")
    return load_config(None if file is None else Path(file)).override("video", **form)


def _check_same(path: Path, run: Run, versions: Mapping[str, Any]) -> None:
    """Raise InputError if another machine or version goes on, because its results would not compare."""
    before = {"cpu": run.machine.get("cpu"), **run.versions}
    now = {"cpu": describe_machine()["cpu"], **versions}
    for name in ("cpu", "encoders", "ffmpeg"):
        if before.get(name) != now[name]:
            raise InputError(
                f"run {path}: was made with {name} {before.get(name)}; here is {now[name]}: start a new run"
            )


def _check_material(path: Path, before: Mapping[str, Any], clips: tuple[RawClip, ...]) -> None:
    known = {clip["name"]: clip.get("sha256") for clip in before.get("clips", ())}
    changed = sorted(clip.name for clip in clips if known.get(clip.name) != clip.sha256)
    gone = sorted(known.keys() - {clip.name for clip in clips})
    if changed or gone:
        raise InputError(
            f"run {path}: its material has changed ({', '.join([*changed, *gone])}); start a new run"
        )
