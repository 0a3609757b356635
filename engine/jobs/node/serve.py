"""`video-pipeline serve`: run a render node in the foreground until a signal stops it."""

from __future__ import annotations

import importlib.util
import logging
import os
import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

from video_pipeline.engine.common.clock import SYSTEM_CLOCK
from video_pipeline.engine.common.extras import the_extra
from video_pipeline.engine.common.service_manager import ServiceManager
from video_pipeline.engine.config import Config
from video_pipeline.engine.errors import UnavailableError
from video_pipeline.engine.jobs.dispatch.ray import RayDispatcher
from video_pipeline.engine.jobs.ledger.errors import LedgerError
from video_pipeline.engine.jobs.logs import set_up_logging
from video_pipeline.engine.jobs.node.fleet_report import drain_machines
from video_pipeline.engine.jobs.node.housekeeping import EVERY_SECONDS, purge
from video_pipeline.engine.jobs.node.monitor import Monitor
from video_pipeline.engine.jobs.node.running_node import RunningNode
from video_pipeline.engine.jobs.node.server_process import ServerProcess
from video_pipeline.engine.jobs.node.stop_signals import StopSignals
from video_pipeline.engine.jobs.node.web_process import WebKeys, WebProcess

logger = logging.getLogger(__name__)

QUIET_SECONDS = 0.25
"""Longest turn of a node that has nothing to do; other programs may write to the ledger too."""


def serve(config: Config, *, as_json: bool = False, fleet: bool = False) -> int:
    """Run a node until SIGTERM or SIGINT; return the exit status. With `fleet`, other machines may join it.

    0: all running jobs finished or were queued again; 143: a second signal stopped them.
    """
    for module in ("zmq", "msgpack"):
        if importlib.util.find_spec(module) is None:
            raise UnavailableError(f"serve: {module} is not installed; it comes with {the_extra('farm')}")
    set_up_logging(config.error_handling.log_level, as_json=as_json)
    signals = StopSignals()
    # On a thread: looking at a folder of a network that does not answer can block.
    threading.Thread(target=_warn_of_asset_roots, args=(config,), name="asset roots", daemon=True).start()
    try:
        with (
            closing(ServiceManager()) as manager,
            Monitor(config) as monitor,
            RunningNode(
                config, json_log=as_json, fleet=fleet, on_started=monitor.started, on_ended=monitor.ended
            ) as node,
            _processes(config, node, as_json=as_json) as running,
        ):
            return _run_until_signalled(node, running, signals, monitor, manager)
    finally:
        signals.close()


def _warn_of_asset_roots(config: Config) -> None:
    for missing in config.node.missing_asset_roots():
        logger.warning("%s", missing)


@dataclass(frozen=True, slots=True)
class FrontProcesses:
    """The processes that clients talk to: the server, and if web.enabled the HTTP process."""

    server: ServerProcess
    web: WebProcess | None

    @property
    def pipes(self) -> list[int]:
        """The pipes that become readable when one of them sends a message."""
        pipes = (self.server.descriptor, self.web.descriptor if self.web else None)
        return [pipe for pipe in pipes if pipe is not None]

    def poll(self) -> None:
        """Read their messages, and restart what has died."""
        self.server.poll()
        if self.web is not None:
            self.web.poll(self.server.endpoints)


@contextmanager
def _processes(config: Config, node: RunningNode, *, as_json: bool) -> Iterator[FrontProcesses]:
    """Start the processes that clients talk to, and stop them at the end."""
    keys = WebKeys.make() if config.web.enabled else None
    known = {"web_key": keys.public, "web_secret": keys.secret} if keys else None
    with ExitStack() as started:
        server = ServerProcess(
            config, node.folders, slots=node.slots, guard=node.guard, json_log=as_json, web=known
        )
        started.callback(server.close)
        web = None
        if keys is not None:
            web = WebProcess(config, node.folders, keys, guard=node.guard, json_log=as_json)
            started.callback(web.close)
        yield FrontProcesses(server, web)


def _run_until_signalled(
    node: RunningNode,
    running: FrontProcesses,
    signals: StopSignals,
    monitor: Monitor,
    manager: ServiceManager,
) -> int:
    """Run the loop until a signal arrives, then drain."""
    server = running.server
    ready = False
    purge_at = 0.0
    commits = 0
    while signals.count == 0:
        if node.is_quiet:
            _sleep(node, running)
            node.turn(0)
        else:
            node.turn()
        if node.ledger.file.commits != commits:
            commits = node.ledger.file.commits
            server.changed()
        server.send_full(node.scheduler.is_full)
        server.send_slots(node.slots)
        if server.drained != node.scheduler.is_drained:
            _set_drained(node, server.drained)
        if isinstance(node.dispatcher, RayDispatcher):
            drain_machines(node.dispatcher, server.drained_machines)
        running.poll()
        monitor.update(node, server, running.web)
        if ready != (server.trouble is None and node.trouble is None):
            ready = not ready
            _log_ready(node, running, ready)
        if server.ready:  # clients get answers, even while a full disk keeps jobs from starting
            manager.ready(_status_line(node, server))
        manager.beat()
        if SYSTEM_CLOCK.monotonic() >= purge_at:
            purge_at = SYSTEM_CLOCK.monotonic() + EVERY_SECONDS
            _purge(node)
    return _drain(node, running, signals, monitor, manager)


def _status_line(node: RunningNode, server: ServerProcess) -> str:
    """Return the line that `systemctl status` shows."""
    running = node.dispatcher.running
    trouble = node.trouble or server.trouble
    text = f"{running} of {node.slots} slots in use"
    return f"not ready: {trouble}; {text}" if trouble else f"ready; {text}"


def _set_drained(node: RunningNode, drained: bool) -> None:
    node.scheduler.set_drained(drained)
    if drained:
        logger.warning("the node is drained: running jobs finish, and none is accepted or started")
    else:
        logger.info("the node is no longer drained")


def _sleep(node: RunningNode, running: FrontProcesses) -> None:
    """Wait until a worker, the server or the HTTP process sends a message, or a waiting job is due."""
    pipes = [node.dispatcher.descriptor, *running.pipes]
    seconds = min(QUIET_SECONDS, node.scheduler.seconds_to_check)
    with suppress(OSError):
        select.select(pipes, [], [], max(0.0, seconds))


def _drain(
    node: RunningNode,
    running: FrontProcesses,
    signals: StopSignals,
    monitor: Monitor,
    manager: ServiceManager,
) -> int:
    """Let running jobs finish for node.drain_timeout, then queue them again; do that at once after a second signal."""
    seconds = node.config.node.drain_timeout
    logger.info("the node is shutting down: %d running jobs get %g s", node.dispatcher.running, seconds)
    manager.stopping(f"shutting down: {node.dispatcher.running} running jobs get {seconds:g} s")
    running.server.drain()

    def go_on() -> bool:
        running.poll()
        monitor.update(node, running.server, running.web)
        manager.beat()
        return signals.count < 2

    if not node.finish(seconds=seconds, go_on=go_on):
        node.stop(now=signals.count > 1, go_on=go_on) or node.stop(now=True)
    logger.info("the node has ended")
    return 143 if signals.count > 1 else 0


def _log_ready(node: RunningNode, running: FrontProcesses, ready: bool) -> None:
    server = running.server
    if ready:
        found = dict(server.endpoints or {})
        own = {"pid": os.getpid(), "server_pid": found.pop("pid", None), "slots": node.slots}
        http = f", health and metrics at {node.config.node.http_bind}" if node.config.node.http_bind else ""
        keys = "; clients need a key" if found.get("curve") else ""
        logger.info(
            "the node is ready: requests at %s, events at %s%s; %d %s%s; process %d",
            *(found.get("requests"), found.get("events"), http),
            *(node.slots, "slot" if node.slots == 1 else "slots", keys, os.getpid()),
            extra={"node": found | own},
        )
    else:
        logger.warning("the node is not ready: %s", node.trouble or server.trouble)


def _purge(node: RunningNode) -> None:
    try:
        done = purge(node.ledger, node.folders, node.config)
    except (LedgerError, OSError) as error:
        logger.error("cannot delete old jobs: %s", error)
    else:
        logger.info("deleted %d old jobs and %d files", done["jobs"], done["files"])
