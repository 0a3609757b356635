"""The process between a node and Ray: Ray may hang, end its process or send pickled bytes without harm to the node.

    node → bridge    {create: SLOT, needs: {cpus, memory, gpus, resources}, setup: TEXT}
                     {start: SLOT, path: FILE, …}  {draw: SLOT, text: TEXT}  {stop: SLOT, text: TEXT}  {poll: SLOT, text: TEXT}  {kill: SLOT}
                     {collect: SLOT, job_id, fence, files, staging}  {discard: JOB_ID, fence}
                     {told: {renders: {MACHINE: [TEXT, …]}, cache: {…}}}: what `cluster status` shows
    bridge → node    {alive, at}  {cluster: {machines: {ID: STATUS}, free}}  {placed: SLOT, text}  {polled: SLOT, text}  {started: SLOT, text}
                     {missed: SLOT, reason}: a call failed, perhaps for a moment  {lost: SLOT, reason}: the actor has ended
                     {unsent: SLOT, job_id, fence, failure}  {collected: SLOT, job_id, fence, failure}
                     {discarded: JOB_ID, fence, failure}

Messages are JSON, one a line, through pipes. If this process ends, Ray ends its actors.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from video_pipeline.engine.common.object_store import ObjectStore
from video_pipeline.engine.config import Config, load_config
from video_pipeline.engine.config.job import job_config
from video_pipeline.engine.fleet.settings import server_settings
from video_pipeline.engine.jobs.dispatch.failures import classify
from video_pipeline.engine.jobs.dispatch.ray_slot import MachineSlot
from video_pipeline.engine.jobs.dispatch.transfer import fetch_staged, put_inputs, remove_staged, shared_store
from video_pipeline.engine.jobs.dispatch.worker import NodePipe, end_at_once, refuse_other_version
from video_pipeline.engine.jobs.inputs.references import make_portable
from video_pipeline.engine.jobs.processes import die_with_parent

logger = logging.getLogger(__name__)

CALLS_AT_ONCE: Final = 4
"""Calls of one actor that may run at once: a poll waits while a stop arrives."""

FILES_AT_ONCE: Final = 8
CLUSTER_SECONDS: Final = 1.0
OTHER_CLUSTER: Final = "WrongClusterID"
"""Ray's error if its control store has lost what it knew, as with a Redis without its data: waiting does not help."""


class RayBridge:
    """Ray for a node, by messages. Calls that may block have threads of their own."""

    def __init__(self, config: Config, pipe: NodePipe) -> None:
        self._config, self._pipe = config, pipe
        self._actors: dict[int, Any] = {}
        self._control = ThreadPoolExecutor(4, "control")
        self._files = ThreadPoolExecutor(FILES_AT_ONCE, "files")
        self._store: ObjectStore | None = None
        self._store_lock = threading.Lock()

    def serve(self, messages: queue.SimpleQueue[dict[str, Any]]) -> None:
        """Connect and carry out messages until the process ends."""
        from video_pipeline.engine.fleet.connect import ask_fleet, connect
        from video_pipeline.engine.fleet.machines import tell_fleet

        connect(self._config)
        client = ask_fleet(server_settings(self._config, self._config.state_dir().resolve()))
        threading.Thread(target=self._watch_cluster, args=(client,), name="cluster", daemon=True).start()
        while True:
            message = messages.get()
            if "poll" in message:
                self._call(message["poll"], "poll", "polled", message["text"])
            elif "stop" in message:
                self._call(message["stop"], "stop", None, message["text"])
            elif "create" in message:
                self._control.submit(self._create, **message)
            elif "kill" in message:
                self._control.submit(self._kill, message["kill"])
            elif "draw" in message:
                self._call(message["draw"], "start", "started", message["text"])
            elif "start" in message:
                self._files.submit(self._start, message)
            elif "collect" in message:
                self._files.submit(self._collect, message)
            elif "told" in message:
                self._control.submit(tell_fleet, client, message["told"])
            elif "discard" in message:
                self._files.submit(self._discard, message["discard"], message["fence"])

    # -- actors -----------------------------------------------------------------------------------

    def _create(self, create: int, needs: dict[str, Any], setup: str) -> None:
        ray = _ray()

        try:
            actor = (
                ray.remote(MachineSlot)
                .options(
                    num_cpus=needs["cpus"],
                    num_gpus=needs["gpus"],
                    memory=needs["memory"],
                    resources=needs["resources"],
                    max_concurrency=CALLS_AT_ONCE,
                    max_restarts=0,
                    scheduling_strategy="SPREAD",
                )
                .remote(setup)
            )
        except Exception as error:
            self._pipe.send(lost=create, reason=_error_line(error))
            return
        self._actors[create] = actor
        self._call(create, "describe", "placed")

    def _kill(self, slot: int) -> None:
        ray = _ray()

        actor = self._actors.pop(slot, None)
        if actor is not None:
            with contextlib.suppress(Exception):
                ray.kill(actor)

    def _call(self, slot: int, method: str, reply: str | None, *arguments: str) -> None:
        """Call an actor's method; its text goes to the node as `reply`.

        A start that fails may have arrived: the slot counts as lost, and its lease ends.
        """
        from ray.exceptions import ActorUnavailableError

        def done(future: Future[Any]) -> None:
            error = future.exception()
            if isinstance(error, ActorUnavailableError) and method != "start":
                self._pipe.send(missed=slot, reason=_error_line(error))
            elif error is not None:
                self._pipe.send(lost=slot, reason=_error_line(error))
            elif reply is not None:
                text = future.result()
                self._pipe.send(**{reply: slot, "text": text if isinstance(text, str) else ""})

        actor = self._actors.get(slot)
        if actor is None:
            self._pipe.send(lost=slot, reason="it is not there")
            return
        try:
            getattr(actor, method).remote(*arguments).future().add_done_callback(done)
        except Exception as error:
            self._pipe.send(**{"lost" if method == "start" else "missed": slot, "reason": _error_line(error)})

    def _watch_cluster(self, client: Any) -> None:
        """Tell the node which machines there are and which resources are free, again and again."""
        from video_pipeline.engine.fleet.machines import fleet_resources

        while True:
            try:
                machines, free = fleet_resources(client)
                self._pipe.send(cluster={"machines": machines, "free": free})
            except Exception as error:  # the control store is away: it comes back, or the leases end
                logger.warning("cannot list the machines: %s", _error_line(error))
                if OTHER_CLUSTER in str(error):
                    end_at_once()  # the node starts this process again, which connects anew
            time.sleep(CLUSTER_SECONDS)

    # -- files ------------------------------------------------------------------------------------

    def _opened(self) -> ObjectStore:
        with self._store_lock:
            if self._store is None:
                self._store = shared_store(self._config)
            return self._store

    def _start(self, message: dict[str, Any]) -> None:
        """Bring an attempt's files into the storage, and start it."""
        slot, path = message["start"], Path(message["path"])
        given = json.loads(path.read_text(encoding="ascii"))
        try:
            portable = make_portable(
                given["story"],
                given["config"],
                node=self._config.node,
                inbox=Path(message["inbox"]),
                temp=path.parent,
                settings=job_config(self._config, given["config"]),
            )
            names = put_inputs(self._opened(), portable.files) if portable.files else []
            text = json.dumps({**given, "story": portable.story, "config": portable.config, "files": names})
        except BaseException as error:
            self._pipe.send(
                unsent=slot, job_id=given["job_id"], fence=given["fence"], failure=asdict(classify(error))
            )
            return
        self._call(slot, "start", "started", text)

    def _collect(self, message: dict[str, Any]) -> None:
        """Fetch a finished attempt's files into the node's staging folder."""
        job_id, fence = message["job_id"], message["fence"]
        failure = None
        try:
            staging = Path(message["staging"])
            staging.mkdir(parents=True, exist_ok=True)
            fetch_staged(self._opened(), message["files"], staging, job_id, fence)
        except BaseException as error:
            failure = asdict(classify(error))
        self._pipe.send(collected=message["collect"], job_id=job_id, fence=fence, failure=failure)

    def _discard(self, job_id: str, fence: int) -> None:
        """Delete what an attempt has put into the storage."""
        failure = None
        try:
            remove_staged(self._opened(), job_id, fence)
        except Exception as error:
            logger.warning("cannot delete what %s.%d left in the storage: %s", job_id, fence, error)
            failure = asdict(classify(error))
        self._pipe.send(discarded=job_id, fence=fence, failure=failure)


def _ray() -> Any:
    """Return the module, which takes a second to import and has no types."""
    import ray

    return ray


def _error_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error) or repr(error)).splitlines()[0][:300]}"


def _beat(pipe: NodePipe, seconds: float) -> None:
    while True:
        pipe.send(alive=True)
        time.sleep(seconds)


def _listen(pipe: NodePipe, messages: queue.SimpleQueue[dict[str, Any]]) -> None:
    for message in pipe.messages():
        messages.put(message)
    end_at_once()


def _begin_thread(target: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=target, args=arguments, daemon=True).start()


def main() -> None:
    """Carry messages between node and Ray until the node closes the pipe."""
    receive, send, parent = (int(argument) for argument in sys.argv[1:4])
    die_with_parent(parent)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    pipe = NodePipe(receive, send)
    messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    _begin_thread(_listen, pipe, messages)
    setup = messages.get()["setup"]
    refuse_other_version(setup)
    _begin_thread(_beat, pipe, setup["heartbeat"])
    RayBridge(load_config(setup["config"], environ=False), pipe).serve(messages)


if __name__ == "__main__":
    main()
