"""The worker process of a slot: receives attempts from the node through a pipe and renders one at a time.

    node → worker    {"setup": {…}}      once: configuration, cores, NVENC sessions, seconds between heartbeats
                     {"attempt": PATH}   render the attempt that this file describes
                     {"stop": FENCE}     stop that attempt; end of file: exit at once
    worker → node    {"ready": true}  {"alive": true}  {"progress": {…}}  {"opening": true|false}
                     {"spread": {"plan": SHA256, "numbers": […]}}   others may draw these segments
                     {"finished": {…}}  {"failed": {…}}  {"stopped": true}

Messages are JSON, one per line. The output of an attempt goes to its log.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import queue
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from video_pipeline.engine import __version__
from video_pipeline.engine.jobs.dispatch.failures import classify
from video_pipeline.engine.jobs.logs import LineFormatter
from video_pipeline.engine.jobs.processes import (
    die_with_parent,
    limit_file_size,
    set_worker_limits,
    signal_session,
)
from video_pipeline.engine.storage.local import RESULT

if TYPE_CHECKING:
    from video_pipeline.engine.config import Config
    from video_pipeline.engine.pipeline import RenderResult

logger = logging.getLogger(__name__)


class NodePipe:
    """The pipe to the node. Sending is thread-safe; the process exits if the node has ended."""

    def __init__(self, receive: int, send: int) -> None:
        for descriptor in (receive, send):
            os.set_inheritable(descriptor, False)
        self._receive = open(receive, "rb", closefd=False)  # noqa: SIM115 - for the process's whole life
        self._send = send
        self._lock = threading.Lock()

    def send(self, **message: Any) -> None:
        """Send a message."""
        data = memoryview(json.dumps(message).encode() + b"\n")
        with self._lock:
            try:
                while data:
                    data = data[os.write(self._send, data) :]
            except OSError:
                end_at_once()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages of the node until it closes the pipe."""
        for line in self._receive:
            message: dict[str, Any] = json.loads(line)
            yield message


def refuse_other_version(setup: Mapping[str, Any]) -> None:
    """Exit with a line on standard error if the process that started this one runs another version of the engine."""
    if setup["version"] != __version__:
        sys.exit(
            f"version {__version__} was installed while version {setup['version']} ran; stop it and start it again"
        )


def end_at_once() -> None:
    """Kill the processes that this worker started, and exit."""
    signal_session(os.getpid(), signal.SIGKILL, spare=os.getpid())
    os._exit(1)


class NodeCommands:
    """The commands of the node, received by a thread."""

    def __init__(self, pipe: NodePipe) -> None:
        self._pipe = pipe
        self._attempts: queue.SimpleQueue[tuple[Path, int, threading.Event]] = queue.SimpleQueue()
        self._setups: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="commands", daemon=True).start()

    def _listen(self) -> None:
        stops: dict[int, threading.Event] = {}
        for message in self._pipe.messages():
            if "setup" in message:
                self._setups.put(message["setup"])
            elif "attempt" in message:
                stops.clear()  # a new attempt means that the last one has ended
                fence = int(message["fence"])
                stops[fence] = threading.Event()
                self._attempts.put((Path(message["attempt"]), fence, stops[fence]))
            elif "stop" in message and message["stop"] in stops:
                stops[message["stop"]].set()
        end_at_once()

    def setup(self) -> dict[str, Any]:
        """Wait for the setup message."""
        return self._setups.get()

    def next(self) -> tuple[Path, int, threading.Event]:
        """Wait for an attempt; return its description file, its fence and the event that stops it."""
        return self._attempts.get()


def _send_heartbeats(pipe: NodePipe, seconds: float) -> None:
    pause = threading.Event()
    while not pause.wait(seconds):
        pipe.send(alive=True)


@contextlib.contextmanager
def _own_log(path: Path, *, level: str, **fields: Any) -> Iterator[None]:
    """Redirect output and log lines of this process and its child programs to an attempt's log."""
    kept = (os.dup(1), os.dup(2))
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(**fields))
    root.handlers[:] = [handler]
    root.setLevel(level)
    os.dup2(target, 1)
    os.dup2(target, 2)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a full disk must not fail a finished render
            sys.stdout.flush()
            sys.stderr.flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (*kept, target):
            os.close(descriptor)
        root.handlers[:], level_before = before
        root.setLevel(level_before)


@contextlib.contextmanager
def _own_temp(folder: Path) -> Iterator[None]:
    """Put the temporary files of the attempt and its child programs into a folder of its own."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir, os.environ["TMPDIR"] = str(folder), str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = before[0]
        if before[1] is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before[1]


def _attempt_result(result: RenderResult) -> dict[str, Any]:
    """Return the result of a finished video as plain data, with file names relative to its folder."""
    fields = result.as_dict()
    manifest = json.loads(result.outputs.manifest.read_text(encoding="utf-8"))
    return {
        **fields,
        "files": {role: Path(path).name for role, path in fields["files"].items()},
        "metadata": result.metadata,
        "encoder": manifest["encoder"]["name"],
        "encoder_fallback": manifest["encoder"]["fallback"],
        "encoder_sessions": manifest["encoder"]["sessions"],
        "encoder_frames": manifest["encoder"]["frames"],
    }


def _spread(
    config: Config, pipe: NodePipe, encode: Callable[[], bytes], numbers: Sequence[int], seconds: float
) -> None:
    """Tell the node which segments of a large video other machines may draw."""
    if seconds < config.fleet.split_seconds or config.fleet.store is None:
        return
    from video_pipeline.engine.common.object_store import put_content
    from video_pipeline.engine.common.open_store import open_store

    store = open_store(config.fleet.store, endpoint=config.fleet.store_endpoint)
    pipe.send(spread={"plan": put_content(store, encode()), "numbers": list(numbers)})
    logger.info("other machines may draw %d segments", len(numbers))


def _draw_for_another(description: dict[str, Any], config: Config, stop: threading.Event) -> dict[str, Any]:
    """Draw segments of another machine's attempt into the shared cache; return how many were drawn here."""
    from video_pipeline.engine.common.object_store import get_content
    from video_pipeline.engine.common.open_store import open_store
    from video_pipeline.engine.spread.draw_segment import PlanDrawer
    from video_pipeline.engine.spread.plan_data import MissingAssetError

    wanted, temp = description["drawing"], Path(description["temp"])
    assert config.fleet.store is not None
    store = open_store(config.fleet.store, endpoint=config.fleet.store_endpoint)
    data = get_content(store, str(wanted["plan"]))
    if data is None:
        raise MissingAssetError(f"fleet.store: {store.name} has no plan {wanted['plan']}")
    drawer = PlanDrawer(data, store=store, config=config, folder=temp / "plan", stop=stop)
    drawn = [drawer.draw(int(number)) for number in wanted["numbers"]]
    return {"drawn": sum(not segment.was_cached for segment in drawn)}


def _render_attempt(
    description: dict[str, Any], config: Config, pipe: NodePipe, stop: threading.Event
) -> dict[str, Any]:
    """Render an attempt into its staging folder; write its result there last and return it."""
    from video_pipeline.engine.assets.fetch import Fetcher
    from video_pipeline.engine.common.files import write_text
    from video_pipeline.engine.config.job import job_config
    from video_pipeline.engine.jobs.dispatch.progress import ProgressMeter
    from video_pipeline.engine.jobs.inputs.length import check_length
    from video_pipeline.engine.jobs.inputs.references import localise
    from video_pipeline.engine.pipeline import render_story
    from video_pipeline.engine.publish.specs import specs_of
    from video_pipeline.engine.story import parse_story

    if description.get("drawing"):
        return _draw_for_another(description, config, stop)
    temp, staging = Path(description["temp"]), Path(description["staging"])
    settings = job_config(config, description["config"])
    check_length(parse_story(description["story"]), config=settings, node=config.node)
    local = localise(
        description["story"],
        description["config"],
        node=config.node,
        inbox=Path(description["inbox"]),
        temp=temp,
        fetch=Fetcher.of(config.node),
        settings=settings,
    )
    for warning in local.warnings:
        logger.warning(warning)
    result = render_story(
        parse_story(local.story),
        staging / f"{description['story_id']}.mp4",
        config=job_config(config, local.config).override("storage", temp_path=temp),
        base=temp,
        beneath=local.beneath,
        cache_required=False,
        max_seconds=config.node.max_video_seconds,
        on_event=ProgressMeter(lambda progress: pipe.send(progress=progress)),
        stop=stop,
        spread=partial(_spread, config, pipe) if description.get("spreads") else None,
    )
    fields = _attempt_result(result)
    fields["warnings"] = [*local.warnings, *fields["warnings"]]
    if posts := specs_of(parse_story(local.story).publish, config):
        fields["publish"] = [spec.model_dump(mode="json", exclude_none=True) for spec in posts]
    write_text(staging / RESULT, json.dumps(fields))
    return fields


def _run_attempt(path: Path, fence: int, stop: threading.Event, config: Config, pipe: NodePipe) -> None:
    """Run one attempt and report its outcome."""
    from video_pipeline.engine.errors import CancelledError

    description = json.loads(path.read_text(encoding="utf-8"))
    log, temp = Path(description["log"]), Path(description["temp"])
    level = config.error_handling.log_level
    fields = {"job_id": description["job_id"], "attempt": f"{description['number']}.{fence}"}
    try:
        with _own_log(log, level=level, **fields), _own_temp(temp):
            try:
                logger.info("the attempt begins, story %s", description["story_id"])
                result = _render_attempt(description, config, pipe, stop)
                logger.info("the attempt has finished")
            except CancelledError:
                logger.info("the attempt was stopped")
                raise
            except BaseException:
                logger.exception("the attempt has failed")
                raise
    except CancelledError:
        pipe.send(stopped=True, fence=fence)
    except BaseException as error:
        failure = classify(error)
        pipe.send(
            failed={"kind": failure.kind, "error_type": failure.error_type, "message": failure.message},
            fence=fence,
        )
    else:
        pipe.send(finished=result, fence=fence)


def main() -> None:
    """Render attempts until the node closes the pipe."""
    receive, send, parent = (int(argument) for argument in sys.argv[1:4])
    die_with_parent(parent)
    set_worker_limits()
    # A signal to the whole group, as service managers send, must not end running jobs: the node decides.
    # Not SIG_IGN, which child programs would inherit.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    pipe = NodePipe(receive, send)
    commands = NodeCommands(pipe)
    setup = commands.setup()
    refuse_other_version(setup)
    threading.Thread(
        target=_send_heartbeats, args=(pipe, setup["heartbeat"]), name="alive", daemon=True
    ).start()
    config = _warm_up(setup, pipe)
    pipe.send(ready=True)
    while True:
        _run_attempt(*commands.next(), config, pipe)
        gc.collect()


def _warm_up(setup: dict[str, Any], pipe: NodePipe) -> Config:
    """Import modules and find programs that every attempt needs."""
    from video_pipeline.engine.common.process import importing, return_freed_memory

    return_freed_memory()
    with importing():
        import video_pipeline.engine.assets.fetch
        import video_pipeline.engine.config.job
        import video_pipeline.engine.jobs.dispatch.progress
        import video_pipeline.engine.jobs.inputs.length
        import video_pipeline.engine.jobs.inputs.references
        import video_pipeline.engine.pipeline  # noqa: F401
        from video_pipeline.engine.config import load_config
        from video_pipeline.engine.machine.cores import limit_cores
        from video_pipeline.engine.render.compositors.choice import choose_compositor
        from video_pipeline.engine.render.encoders.choice import choose_encoding
        from video_pipeline.engine.render.encoders.sessions import SESSIONS
        from video_pipeline.engine.render.encoders.watched import OPENINGS, limit_calls
    config = load_config(setup["config"], environ=False)
    OPENINGS.listen(lambda opening: pipe.send(opening=opening))
    limit_calls(config.node.lease)
    limit_file_size(config.node.worker_disk_mb)
    limit_cores(setup["cores"])
    SESSIONS.limit(setup["sessions"])
    with contextlib.suppress(Exception):  # an attempt that needs them reports it
        choose_encoding(config.video, session_wait=0)
        choose_compositor(config)
    return config


if __name__ == "__main__":
    main()
