"""`video-pipeline worker --join ADDRESS`: this machine renders for a fleet until a signal stops it."""

from __future__ import annotations

import logging
import select
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from video_pipeline.engine.common.clock import SYSTEM_CLOCK
from video_pipeline.engine.common.open_store import try_store
from video_pipeline.engine.config import Config
from video_pipeline.engine.fleet.offer import MachineOffer
from video_pipeline.engine.fleet.ray_process import RayProcess
from video_pipeline.engine.fleet.settings import FleetSettings, check_ray, machine_settings
from video_pipeline.engine.jobs.dispatch.guard import Guard, sweep
from video_pipeline.engine.jobs.dispatch.machine_offer import this_machines_offer
from video_pipeline.engine.jobs.dispatch.machine_place import write_place
from video_pipeline.engine.jobs.dispatch.transfer import TransferError, shared_store
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.logs import set_up_logging
from video_pipeline.engine.jobs.node.fleet_ray import supervised_ray
from video_pipeline.engine.jobs.node.http.metrics import Metrics
from video_pipeline.engine.jobs.node.http.server import Health, HealthServer, Readiness
from video_pipeline.engine.jobs.node.monitor import open_metrics
from video_pipeline.engine.jobs.node.running_node import NodeLock
from video_pipeline.engine.jobs.node.stop_signals import StopSignals

logger = logging.getLogger(__name__)

TURN_SECONDS: Final = 0.5


def work(config: Config, *, as_json: bool = False) -> int:
    """Render for the fleet at `fleet.address` until SIGTERM or SIGINT; return the exit status.

    0: what ran has ended or was handed back; 143: a second signal stopped it. Raises ConfigError and UnavailableError
    if this machine cannot join, and TransferError if its shared storage does not work.
    """
    check_ray()
    set_up_logging(config.error_handling.log_level, as_json=as_json)
    folders = Folders.of(config)
    settings = machine_settings(config, folders.state)
    folders.make()
    with ExitStack() as opened:
        opened.callback(NodeLock(folders.lock).close)
        if config.fleet.store is not None and (trouble := try_store(shared_store(config))):
            raise TransferError(trouble)
        offer = this_machines_offer(config)
        signals = StopSignals()
        opened.callback(signals.close)
        opened.callback(sweep, folders.state)
        if swept := sweep(folders.state):
            logger.warning("killed %d processes that an earlier one had left", swept)
        write_place(folders.state, config)
        guard = Guard(folders.state)
        opened.callback(guard.close)
        health, metrics = Health(), open_metrics()
        if config.node.http_bind:
            opened.enter_context(HealthServer(config.node.http_bind, metrics=metrics, health=health))
        ray = supervised_ray(settings, offer, head=False, state=folders.state, guard=guard)
        opened.callback(ray.close)
        watched = _Watched(ray, guard, health, metrics)
        return _watch_until_signalled(config, settings, offer, watched, signals)


@dataclass(frozen=True, slots=True)
class _Watched:
    """What a machine's loop looks after, and where it says how they are."""

    ray: RayProcess
    guard: Guard
    health: Health
    metrics: Metrics

    def turn(self, *, leaving: bool = False) -> None:
        """Look after Ray's programs and the guard for TURN_SECONDS at most; say whether the machine takes work."""
        pipe = self.ray.descriptor
        with suppress(OSError):
            select.select([] if pipe is None else [pipe], [], [], TURN_SECONDS)
        self.ray.poll()
        if self.guard.restart_if_dead():
            logger.warning("the guard had died; restarted it")
        reasons = ["the machine leaves the fleet"] if leaving else []
        if not self.ray.ready:
            reasons.append(self.ray.trouble or "the machine is not in the fleet")
        self.health.update(Readiness(tuple(reasons)))
        self.metrics.ready(not reasons)


def _watch_until_signalled(
    config: Config, settings: FleetSettings, offer: MachineOffer, watched: _Watched, signals: StopSignals
) -> int:
    """Watch Ray's programs until a signal arrives, then drain."""
    ray, was_ready = watched.ray, False
    while signals.count == 0:
        watched.turn()
        if ray.ready != was_ready:
            was_ready = ray.ready
            if was_ready:
                logger.info(
                    "this machine is in the fleet of %s: %d %s, %d GPUs, %d NVENC sessions; address %s, version %s",
                    *(settings.address, offer.slots, "slot" if offer.slots == 1 else "slots"),
                    *(offer.gpus, offer.nvenc, settings.bind, offer.version),
                )
            else:
                logger.warning("this machine is not in the fleet: %s", ray.trouble)
    seconds = config.node.drain_timeout
    logger.info("this machine leaves the fleet: what runs gets %g s", seconds)
    ray.drain(seconds)
    until = SYSTEM_CLOCK.monotonic() + seconds
    while signals.count < 2 and ray.ready and not ray.idle and SYSTEM_CLOCK.monotonic() < until:
        watched.turn(leaving=True)
    logger.info("this machine has left the fleet%s", "" if ray.idle else "; what ran is handed back")
    return 143 if signals.count > 1 else 0
