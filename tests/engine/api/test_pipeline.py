"""The high-level API rendering in its own process: real workers, no sockets."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from tests.support.audit import processes_of
from tests.support.jobs import endless_story, node_settings, tiny_story
from tests.support.waiting import FAST_SECONDS, wait_until
from video_pipeline import (
    AsyncVideoGenerationPipeline,
    ConfigError,
    ContentGenerationOrchestrator,
    InputError,
    JobConflictError,
    JobError,
    JobStatus,
    JobTracker,
    StoryError,
    VideoGenerationPipeline,
    VideoGenerationQueue,
    VideoJob,
)


def tiny_config(folder: Path) -> dict[str, Any]:
    """Return settings that keep everything in a folder, but the cache."""
    return node_settings(folder, cache=Path(os.environ["CACHE_PATH"]))


def is_video(result: dict[str, Any]) -> bool:
    """Say whether a result's video has the frames that it should when it is decoded."""
    with av.open(result["video_path"]) as video:
        count = sum(1 for _ in video.decode(video=0))
    expected: int = result["video_info"]["frame_count"]
    return count == expected >= 12


class StoryGenerator:
    """Writes a story, like the generator of the original design."""

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def generate_story(self, prompt: str) -> dict[str, Any]:
        return {**tiny_story("ancient"), "title": prompt}


@dataclass
class Written:
    """A story as an object, with more than the engine knows."""

    id: int
    title: str
    scenes: list[dict[str, Any]]
    mood: str = "calm"
    metadata: dict[str, Any] = field(default_factory=dict)


def test_the_original_integration_example_runs_unchanged(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    story_generator = StoryGenerator(config)
    video_pipeline = VideoGenerationPipeline(config)
    story = story_generator.generate_story(prompt="Ancient mysteries")
    video_job = video_pipeline.submit_job(story, priority="normal")
    status = video_pipeline.get_job_status(video_job.id)
    try:
        assert status is not None
        assert status["job_id"] == video_job.id == video_job.job_id
        assert status["status"] in ("queued", "processing", "completed")
        assert set(status) >= {"job_id", "status", "attempts", "error_message", "result"}
        result = video_pipeline.wait_for_job(video_job.id, timeout=4 * FAST_SECONDS)
        assert is_video(result)
        assert Path(result["thumbnail_path"]).is_file()
        assert result["video_info"]["resolution"] == [160, 284]
        assert result["metadata"]["title"] == "Ancient mysteries"
        assert (video_job.status, video_job.attempts, video_job.story_id) == (
            JobStatus.COMPLETED,
            1,
            "ancient",
        )
        assert video_job.result == result
        with pytest.raises(JobConflictError):
            video_pipeline.cancel_job(video_job.id)
        assert video_pipeline.get_job_status("job-" + "0" * 24) is None
    finally:
        video_pipeline.close()


def test_jobs_left_queued_by_a_program_are_rendered_by_the_next(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    with VideoGenerationPipeline(config) as first:
        jobs = [first.submit_job(tiny_story(f"T{number}")) for number in range(3)]
        same = first.submit_job(tiny_story("K"), key="one", priority="low")
        assert first.submit_job(tiny_story("K"), key="one", priority="low").id == same.id
    with VideoGenerationPipeline(config) as second:
        for job in (*jobs, same):
            assert is_video(second.wait_for_job(job.id, timeout=4 * FAST_SECONDS))


def test_failures_and_wrong_input_are_distinguished(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    config = tiny_config(tmp_path) | {"error_handling": {"fallback_enabled": False}}
    story = {
        "title": "T",
        "scenes": [{"scene_id": "a", "image": str(tmp_path / "broken.jpg"), "duration": 1.0}],
    }
    with VideoGenerationPipeline(config) as pipeline:
        with pytest.raises(StoryError, match="title"):
            pipeline.submit_job({"content": "x"})
        with pytest.raises(ConfigError, match="fps"):
            pipeline.submit_job(tiny_story(), {"video": {"fps": 1000}})
        with pytest.raises(ConfigError, match="set by the node's operator"):
            pipeline.submit_job(tiny_story(), {"storage": {"output_path": "/"}})
        with pytest.raises(InputError, match="give either"):
            pipeline.submit_job()
        with pytest.raises(StoryError, match="int; allowed"):
            pipeline.submit_job(7)
        job = pipeline.submit_job(story)
        with pytest.raises(JobError, match="failed") as raised:
            pipeline.wait_for_job(job.id, timeout=4 * FAST_SECONDS)
        assert raised.value.status == "failed"
        assert job.status is JobStatus.FAILED
        assert job.error_message
        long = pipeline.submit_job(endless_story())
        with pytest.raises(TimeoutError, match="is still"):
            pipeline.wait_for_job(long.id, timeout=0.2)
        pipeline.cancel_job(long.id)
        with pytest.raises(JobError, match="was cancelled"):
            pipeline.wait_for_job(long.id, timeout=2 * FAST_SECONDS)


def test_a_missing_picture_is_replaced_unless_the_pipeline_or_the_job_says_otherwise(tmp_path: Path) -> None:
    scene = {"scene_id": "a", "image": str(tmp_path / "torn.jpg"), "narration": "", "duration": 0.5}
    story = {"title": "T", "scenes": [scene]}
    (tmp_path / "torn.jpg").write_bytes(b"no picture")
    with VideoGenerationPipeline(tiny_config(tmp_path)) as pipeline:
        job = pipeline.submit_job(story)
        (warning,) = pipeline.wait_for_job(job.id, timeout=4 * FAST_SECONDS)["warnings"]
        assert warning.endswith("a drawn picture is shown instead")
        for own in ({"error_handling": {"policy": "standard"}}, {"fallback_enabled": False}):
            with pytest.raises(JobError, match="is not a picture"):
                pipeline.wait_for_job(pipeline.submit_job(story, own).id, timeout=4 * FAST_SECONDS)
        (tmp_path / "torn.jpg").unlink()
        (warning,) = pipeline.wait_for_job(pipeline.submit_job(story).id, timeout=4 * FAST_SECONDS)[
            "warnings"
        ]
        assert "the file does not exist" in warning
        with pytest.raises(InputError, match="the file does not exist"):
            pipeline.submit_job(story, {"error_handling": {"policy": "strict"}})


def test_a_job_s_profile_takes_the_place_of_the_pipeline_s_encoder_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = {"name": "mine", "video": {"preset": "superfast", "bf": 0}}
    (tmp_path / "mine.yaml").write_text(json.dumps(mine), encoding="utf-8")
    own = tiny_config(tmp_path)
    own["video"] = {"size": [160, 284], "fps": 24, "profile": "mine.yaml", "refs": 2}
    used = []
    with VideoGenerationPipeline(own) as pipeline:
        jobs: tuple[dict[str, Any], ...] = (
            {},
            {"crf": 30},
            {"video": {"profile": "draft"}},
            {"video": {"profile": str(tmp_path / "mine.yaml")}},
        )
        for config in jobs:
            result = pipeline.wait_for_job(
                pipeline.submit_job(tiny_story(), config).id, timeout=4 * FAST_SECONDS
            )
            encoder = json.loads(Path(result["manifest_path"]).read_text(encoding="utf-8"))["encoder"]
            used.append(
                (encoder["profile"]["name"], encoder["profile"]["changed"], encoder["options"]["crf"])
            )
    assert used == [
        ("mine", ["refs"], "16"),
        ("mine", ["crf", "refs"], "30"),
        ("draft", [], "21"),
        ("mine", [], "16"),
    ]


def test_relative_pictures_are_found_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    Image.new("RGB", (160, 284), (250, 0, 0)).save(tmp_path / "red.png")
    monkeypatch.chdir(tmp_path)
    story = {
        "title": "T",
        "scenes": [
            {"scene_id": "a", "image": "./x/../red.png", "duration": 0.5, "narration": "", "effects": []}
        ],
    }
    with VideoGenerationPipeline(tiny_config(tmp_path)) as pipeline:
        result = pipeline.wait_for_job(pipeline.submit_job(story).id, timeout=4 * FAST_SECONDS)
    with av.open(result["video_path"]) as video:
        red, green, blue = next(video.decode(video=0)).to_ndarray(format="rgb24")[142, 80]
    assert red > 200
    assert max(green, blue) < 60


def test_two_pipelines_cannot_have_one_folder(tmp_path: Path) -> None:
    config = tiny_config(tmp_path)
    with VideoGenerationPipeline(config) as first, VideoGenerationPipeline(config) as second:
        first.submit_job(tiny_story())
        with pytest.raises(ConfigError, match="another node"):
            second.submit_job(tiny_story())


def test_the_asyncio_twin_does_the_same(tmp_path: Path) -> None:
    async def run() -> None:
        async with AsyncVideoGenerationPipeline(tiny_config(tmp_path)) as pipeline:
            jobs = await asyncio.gather(*(pipeline.submit_job(tiny_story(f"T{n}")) for n in range(3)))
            long = await pipeline.submit_job(story_data=endless_story(), priority="low")
            results = await asyncio.gather(
                *(pipeline.wait_for_job(job.id, timeout=4 * FAST_SECONDS) for job in jobs)
            )
            assert all(map(is_video, results))
            waiting = asyncio.create_task(pipeline.wait_for_job(long.id))
            await asyncio.sleep(0.1)
            waiting.cancel()
            await pipeline.cancel_job(long.id)
            with pytest.raises(JobError):
                await pipeline.wait_for_job(long.id, timeout=2 * FAST_SECONDS)
            status = await pipeline.get_job_status(long.id)
            assert status is not None
            assert status["status"] == "cancelled"
            events = [event.kind async for event in pipeline.client.watch(jobs[0].id)]
            assert (events[0], events[-1]) == ("queued", "completed")

    asyncio.run(run())


class Ticks:
    """Counts how often the event loop came by."""

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self.count += 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_orchestrator_takes_generators_and_pipelines_of_both_kinds(kind: str, tmp_path: Path) -> None:
    ticks = Ticks()
    when_written: list[int] = []

    class Blocking:
        def generate(self, prompt: str, config: Any) -> Written:
            before = ticks.count
            wait_until(
                lambda: ticks.count > before + 5, what="an event loop that is not blocked by a generator"
            )
            when_written.append(ticks.count)
            return Written(7, prompt, tiny_story()["scenes"])

    class Awaited:
        async def generate(self, prompt: str, config: Any) -> dict[str, Any]:
            await asyncio.sleep(0)
            when_written.append(ticks.count)
            return {**tiny_story("seven"), "title": prompt}

    async def run() -> None:
        ticking = asyncio.create_task(ticks.run())
        config = tiny_config(tmp_path)
        pipeline: Any
        if kind == "sync":
            pipeline, generator = await asyncio.to_thread(VideoGenerationPipeline, config), Blocking()
        else:
            pipeline, generator = AsyncVideoGenerationPipeline(config), Awaited()  # type: ignore[assignment]
        orchestrator = ContentGenerationOrchestrator(generator, pipeline)
        settings = SimpleNamespace(story={}, video={"video": {"fps": 30}}, wait_for_completion=True)
        done = await orchestrator.generate_content("Ancient mysteries", settings)
        assert ticks.count > when_written[0] + 5, "the event loop was blocked while the video was rendered"
        assert set(done) == {"story", "video"}
        assert is_video(done["video"])
        assert done["video"]["video_info"]["fps"] == 30
        begun = await orchestrator.generate_content("More", {"wait_for_completion": False})
        assert set(begun) == {"story", "video_job_id", "status"}
        assert begun["status"] == "processing"
        assert len(orchestrator.job_tracker) == 2
        assert orchestrator.job_tracker.counts()[JobStatus.COMPLETED] == 1
        assert begun["video_job_id"] in orchestrator.job_tracker
        ticking.cancel()
        await asyncio.to_thread(pipeline.close) if kind == "sync" else await pipeline.close()

    asyncio.run(run())


def job(job_id: str, **fields: Any) -> VideoJob:
    """Return a job in the original format."""
    return VideoJob(
        **{
            "job_id": job_id,
            "story_id": job_id,
            "story_data": tiny_story(job_id.replace(" ", "-")),
            "config": {},
            **fields,
        }
    )


def test_the_queue_renders_by_priority_and_then_in_order(tmp_path: Path) -> None:
    async def run() -> None:
        settings = tiny_config(tmp_path)
        queue = VideoGenerationQueue(
            max_workers=1, config={k: v for k, v in settings.items() if k != "processing"}
        )
        for name, priority in (
            ("a b", "low"),
            ("b", "normal"),
            ("c", "high"),
            ("d", "normal"),
            ("e", "high"),
        ):
            assert queue.submit_job(job(name, priority=priority)) == name
        assert queue.get_job_status("b") == queue.get_job_status("b")
        assert queue.get_job_status("nobody's") is None
        status = queue.get_job_status("a b")
        assert status is not None
        assert (status["job_id"], status["status"], status["attempts"]) == ("a b", "queued", 0)
        await queue.start_workers()
        assert queue.active
        done = [await queue.wait_for_job(name, 4 * FAST_SECONDS) for name in ("a b", "b", "c", "d", "e")]
        assert [each and each["status"] for each in done] == ["completed"] * 5
        ended = sorted(
            queue.jobs, key=lambda name: Path(queue.jobs[name].result["video_path"]).stat().st_mtime
        )  # type: ignore[index]
        assert ended == ["c", "e", "b", "d", "a b"]
        assert queue.cancel_job("b") is False
        await queue.stop_workers()
        with pytest.raises(JobConflictError, match="another job has this id"):
            queue.submit_job(job("b", story_data=tiny_story("other")))
        assert queue.submit_job(job("b", priority="normal")) == "b"
        queue.close()

    asyncio.run(run())


def test_a_stopped_queue_continues_at_its_next_job(tmp_path: Path) -> None:
    settings = tiny_config(tmp_path)

    async def run() -> None:
        queue = VideoGenerationQueue(1, settings, state_path=tmp_path / "kept")
        story = endless_story()
        queue.submit_job(job("long", story_data=story))
        await queue.start_workers()
        while (queue.get_job_status("long") or {})["status"] != "processing":
            await asyncio.sleep(0.02)
        began = time.monotonic()
        await queue.stop_workers()
        assert time.monotonic() - began < FAST_SECONDS, "it does not wait for the end of the job"
        status = queue.get_job_status("long")
        assert status is not None
        assert (status["status"], status["attempts"]) == ("queued", 0)
        queue.close()
        again = VideoGenerationQueue(1, settings, state_path=tmp_path / "kept")
        again.submit_job(job("long", story_data=story))
        assert again.cancel_job("long") is True
        assert (again.get_job_status("long") or {})["status"] == "cancelled"
        again.close()

    asyncio.run(run())


def test_a_tracker_counts_what_was_added() -> None:
    tracker = JobTracker([job("a"), job("b")])
    tracker.add_job(job("c", status=JobStatus.FAILED))
    tracker.update_job("a", {"status": "completed", "attempts": 1, "error_message": None, "result": {}})
    assert tracker.get_status("a") is JobStatus.COMPLETED
    assert tracker.get_status("x") is None
    assert list(tracker.get_statuses()) == ["a", "b", "c"]
    assert [each.id for each in tracker.get_jobs(JobStatus.FAILED)] == ["c"]
    assert {status.value: count for status, count in tracker.counts().items()} == {
        "queued": 1,
        "processing": 0,
        "completed": 1,
        "failed": 1,
        "cancelled": 0,
    }
    assert tracker.remove_job("c") is not None
    assert tracker.get_job("c") is None


def test_no_thread_and_no_process_is_left_of_a_pipeline(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with VideoGenerationPipeline(tiny_config(tmp_path)) as pipeline:
        pipeline.submit_job(endless_story())
        wait_until(lambda: processes_of(tmp_path), what="a worker")
    assert set(threading.enumerate()) <= before
    assert not processes_of(tmp_path)


def test_jobs_in_this_process_import_no_network_library(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules.update(zmq=None, msgpack=None, prometheus_client=None)\n"
        "import json\nfrom video_pipeline import UnavailableError, VideoGenerationPipeline\n"
        "with VideoGenerationPipeline(json.loads(sys.argv[1])) as pipeline:\n"
        "    job = pipeline.submit_job(json.loads(sys.argv[2]))\n"
        "    print(pipeline.wait_for_job(job.id, timeout=120)['video_path'])\n"
        "try:\n    VideoGenerationPipeline(connect='tcp://127.0.0.1:1')\n"
        "except UnavailableError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-c", script, json.dumps(tiny_config(tmp_path)), json.dumps(tiny_story())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    video, refusal = done.stdout.splitlines()
    assert Path(video).is_file(), done.stderr
    assert "pip install 'video-pipeline[farm]'" in refusal


@pytest.mark.parametrize("kind", [VideoGenerationPipeline, VideoGenerationQueue])
def test_an_error_about_the_number_of_workers_names_the_argument(kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"^max_workers: got 0; allowed: 1 to 1024$"):
        kind(config={}, max_workers=0)
