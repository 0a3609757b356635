"""Ray's programs as children of a node: its guard ends them with it."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Final

from video_pipeline.engine.fleet.offer import MachineOffer
from video_pipeline.engine.fleet.ray_process import RayProcess
from video_pipeline.engine.fleet.settings import FleetSettings
from video_pipeline.engine.jobs.dispatch.guard import Guard
from video_pipeline.engine.jobs.dispatch.worker_process import child_environment, module_command
from video_pipeline.engine.jobs.processes import signal_session

RAY_NODE: Final = "video_pipeline.engine.fleet.ray_node"
END_SECONDS: Final = 5.0


def supervised_ray(
    settings: FleetSettings, offer: MachineOffer, *, head: bool, state: Path, guard: Guard
) -> RayProcess:
    """Start Ray's programs on this machine as children of a node with this state folder."""
    return RayProcess(
        settings,
        offer,
        head=head,
        command=module_command(RAY_NODE),
        environ=child_environment(state),
        on_start=guard.add,
        on_end=guard.remove,
        end_session=end_ray_session,
    )


def end_ray_session(session: int) -> None:
    """Kill all processes of a session, and wait up to END_SECONDS until none is left."""
    until = time.monotonic() + END_SECONDS
    while signal_session(session, signal.SIGKILL) and time.monotonic() < until:
        time.sleep(0.02)
