"""Jobs that GPUs draw and encode, on a node of real processes and sockets with two emulated cards."""

from __future__ import annotations

import io
import json
import os
import signal
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support.audit import assert_sound, processes_of
from tests.support.emulator import EmulatedDriver
from tests.support.jobs import NodeProcess, job_of, node_process, tiny_story
from tests.support.waiting import wait_until
from video_pipeline import native
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.dispatch.capacity import SESSION_MEMORY_MIB
from video_pipeline.engine.jobs.folders import Folders
from video_pipeline.engine.jobs.messages import JobView

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not native.available(), reason="the native extension was not built"),
    pytest.mark.skipif(
        find_spec("cuda") is None or find_spec("nvidia") is None,
        reason="cuda-bindings and nvidia-cuda-nvrtc-cu12 are not installed",
    ),
]

VIDEO = {"codec": "h264_nvenc", "compositor": "cuda", "size": [320, 256], "fps": 24}


def workers_of(node: NodeProcess) -> list[int]:
    """Return the worker processes of a node."""
    found = processes_of(Folders.of(node.config).state)
    return [pid for pid, command in found.items() if "dispatch.worker" in command]


def draws(view: JobView) -> bool:
    """Return whether frames of a job have been drawn."""
    return view.status == "processing" and view.stage == "render" and (view.percent or 0) > 18


def pictures(video: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(io.BytesIO(video.read_bytes()), "r") as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def native_pictures(
    driver: EmulatedDriver, folder: Path, story: dict[str, Any]
) -> list[np.ndarray[Any, Any]]:
    """Return the frames of a story that the native compositor draws; the emulated encoder is lossless."""
    folder.mkdir()
    (folder / "story.json").write_text(json.dumps(story), encoding="utf-8")
    config = folder / "config.json"
    config.write_text(json.dumps({"video": {**VIDEO, "compositor": "native"}, "tts": {"service": "none"}}))
    command = ("render", folder / "story.json", "--no-cache", "-o", folder / "video.mp4", "--config", config)
    done = driver.video_pipeline(*command, timeout=300)
    assert done.returncode == 0, done.stderr
    return pictures(folder / "video.mp4")


def assert_drawn_and_encoded_by_gpus(video: Path, frames: list[np.ndarray[Any, Any]]) -> None:
    manifest = json.loads(video.with_suffix(".manifest.json").read_text(encoding="utf-8"))
    assert (manifest["encoder"]["name"], manifest["compositor"]["name"]) == ("h264_nvenc", "cuda")
    for one, other in zip(pictures(video), frames, strict=True):
        assert np.array_equal(one, other)


def submitted(client: NodeClient, *stories: dict[str, Any]) -> list[str]:
    return [client.submit(story).job_id for story in stories]


def test_jobs_finish_with_the_native_frames_while_workers_are_killed_and_a_card_is_lost(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    stories = [tiny_story(f"story{number}", seconds=5, text=f"{number}") for number in range(2)]
    expected = [
        native_pictures(driver, tmp_path / f"native{number}", story) for number, story in enumerate(stories)
    ]
    (driver.state / "calls.log").unlink()
    environ = driver.environment(cards=2, kernels=cuda_kernels, sessions=3)
    slots = {"max_concurrent_jobs": 2}
    with (
        node_process(tmp_path, environ=environ, video=VIDEO, processing=slots) as node,
        NodeClient(node.config.node.bind, timeout=60) as client,
    ):
        jobs = submitted(client, *stories)
        wait_until(lambda: any(draws(client.status(job)) for job in jobs), seconds=240, what="frames")
        for worker in workers_of(node):
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        wait_until(
            lambda: any(view.attempts == 2 and draws(view) for view in map(client.status, jobs)),
            seconds=240,
            what="frames again",
        )
        (driver.state / "lost.1").touch()
        done = [client.wait(job, timeout=300) for job in jobs]
        with node.ledger() as ledger:
            interruptions = [job_of(ledger, job).interruptions for job in jobs]
        node.signal(signal.SIGTERM)
        assert node.wait(seconds=120) == 0
        assert_sound(Folders.of(node.config), jobs)
    assert [view.status for view in done] == ["completed"] * 2, [view.error_message for view in done]
    # The kill is charged, as docs/node.md has it; the lost card is not.
    assert (max(view.attempts for view in done), interruptions) == (2, [0, 0])
    for view, frames in zip(done, expected, strict=True):
        assert view.result is not None
        assert_drawn_and_encoded_by_gpus(Path(view.result["video_path"]), frames)


def test_a_card_whose_driver_hangs_while_it_draws_neither_ends_a_job_nor_holds_it_longer_than_the_lease(
    driver: EmulatedDriver, cuda_kernels: Path, tmp_path: Path
) -> None:
    story = tiny_story(seconds=4)
    expected = native_pictures(driver, tmp_path / "native", story)
    lease = 5
    faults = "cuStreamSynchronize@1=hang:20"
    environ = driver.environment(cards=2, kernels=cuda_kernels, faults=faults)
    with (
        node_process(tmp_path, environ=environ, video=VIDEO, node={"lease": lease}) as node,
        NodeClient(node.config.node.bind, timeout=60) as client,
    ):
        (job_id,) = submitted(client, story)
        done = client.wait(job_id, timeout=300)
        with node.ledger() as ledger:
            interruptions = job_of(ledger, job_id).interruptions
        node.signal(signal.SIGTERM)
        assert node.wait(seconds=120) == 0
        assert_sound(Folders.of(node.config), [job_id])
    assert "hang cuStreamSynchronize" in driver.calls()
    assert (done.status, done.attempts, interruptions) == ("completed", 1, 0), done.error_message
    assert done.result is not None
    video = Path(done.result["video_path"])
    assert_drawn_and_encoded_by_gpus(video, expected)
    lost = json.loads(video.with_suffix(".manifest.json").read_text())["encoder"]["sessions"]["lost_gpus"]
    assert lost == {"1": f"Emulated GPU (GPU 1): the GPU's driver did not return from a call for {lease} s"}


@pytest.mark.parametrize("own", ["h264_nvenc", "libx264"])
def test_jobs_side_by_side_never_ask_for_more_sessions_than_the_card_has(
    own: str, driver: EmulatedDriver, tmp_path: Path
) -> None:
    sessions = 2  # and more encoders, each of which a job alone would keep busy
    environ = driver.environment(sessions=sessions, card_memory=sessions * SESSION_MEMORY_MIB)
    video = {**VIDEO, "codec": own, "compositor": "native"}
    with (
        node_process(
            tmp_path, environ=environ, video=video, processing={"max_concurrent_jobs": sessions}
        ) as node,
        NodeClient(node.config.node.bind, timeout=60) as client,
    ):
        stories = [tiny_story(f"story{number}", seconds=12, text=f"{number}") for number in range(sessions)]
        config = {"video": {"codec": "h264_nvenc"}}
        jobs = [client.submit(story, config=config).job_id for story in stories]
        done = [client.wait(job, timeout=300) for job in jobs]
        node.signal(signal.SIGTERM)
        assert node.wait(seconds=120) == 0
    assert [view.status for view in done] == ["completed"] * sessions, [view.error_message for view in done]
    assert all(view.result is not None and view.result["segments"] > 1 for view in done)
    calls = driver.calls()
    assert sum(line.startswith("open ") for line in calls) > sessions
    assert not [line for line in calls if line.startswith("refused")]
