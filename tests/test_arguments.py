"""Every public callable names a wrong argument, and accepts natural forms of right ones."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import video_pipeline
from tests.support import samples
from tests.support.bad_calls import WRONG, Callee, callees, wrong_calls
from video_pipeline import (
    AsyncVideoGenerationPipeline,
    Event,
    InputError,
    JobConflictError,
    JobStatus,
    OutputPaths,
    PipelineError,
    RenderResult,
    Sound,
    VideoGenerationPipeline,
    VideoGenerationQueue,
    VideoInfo,
    VideoJob,
    VideoRenderer,
    load_config,
    load_story,
    render_story,
)
from video_pipeline.engine.assets.sound import probe_sound
from video_pipeline.engine.jobs.client.connect import ConnectOptions

SAYS_WHAT_IS_ALLOWED = ("; allowed: ", "unexpected keyword argument", "Path, not", "os.PathLike object")
"""Words of errors about types: this project's, and Python's own where they are as good."""

CALLEES = {callee.name: callee for callee in callees() if callee.parameters}
CONFIG = {"video": {"size": [64, 96], "fps": 24, "preset": "ultrafast"}, "tts": {"service": "none"}}
STORY = {"title": "T", "scenes": [{"scene_id": "a", "duration": 0.2}]}
INFO = VideoInfo(
    duration=1.0,
    resolution=(64, 96),
    fps=Fraction(24),
    file_size=1,
    aspect_ratio="2:3",
    frame_count=24,
    video_codec="h264",
    audio_codec=None,
    bit_rate=None,
)
STATUS = {"status": "queued", "attempts": 0, "error_message": None, "result": None}


class Generator:
    """A story generator."""

    def generate(self, prompt: str, config: Any) -> dict[str, Any]:
        """Return a story."""
        return STORY


class Pipeline:
    """A pipeline that is not from this package."""

    def submit_job(self, story_data: Any, config: Any) -> VideoJob:
        """Return a job."""
        return VideoJob("a", "b", {})

    def wait_for_job(self, job_id: str) -> dict[str, Any]:
        """Return a result."""
        return {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Yield good arguments by name, and an object of each public class under its name."""
    folder = tmp_path_factory.mktemp("world")
    config = {**CONFIG, "storage": {"cache_path": str(folder / "cache"), "output_path": str(folder / "out")}}
    (folder / "story.json").write_text(json.dumps(STORY))
    (folder / "config.yaml").write_text("video: {fps: 24}")
    (folder / "v.mp4").write_bytes(samples.clip())
    (folder / "posts").mkdir()
    posts = {
        "node": {"state_path": str(folder / "posts-state")},
        "publishing": {
            "accounts": {
                "folder": {"default": {"path": str(folder / "posts")}},
                "youtube": {"default": {}},
                "instagram": {"default": {}},
            }
        },
    }
    with contextlib.ExitStack() as stack:
        pipeline = stack.enter_context(VideoGenerationPipeline(config, state_path=folder / "state"))
        pipeline._begin = lambda: None  # type: ignore[method-assign] - no job is rendered here
        queue = VideoGenerationQueue(1, config)
        stack.callback(queue.close)
        made = AsyncVideoGenerationPipeline(config, state_path=folder / "twin")
        stack.callback(lambda: asyncio.run(made.close()))
        made._begin = lambda: None  # type: ignore[method-assign]
        job = pipeline.submit_job(STORY)
        objects: dict[str, Any] = {
            name: getattr(video_pipeline, name)(config)
            for name in (
                "AssetGenerator",
                "ErrorHandler",
                "MetadataGenerator",
                "SceneComposer",
                "StoryProcessor",
                "VideoRenderer",
            )
        }
        result = RenderResult(OutputPaths(folder / "v.mp4"), INFO, {}, (), {}, 1, 0)
        objects |= {
            "AccountPublisher": video_pipeline.AccountPublisher("youtube", config=posts),
            "AsyncNodeClient": made.client,
            "AsyncVideoGenerationPipeline": made,
            "Config": load_config(config),
            "ContentGenerationOrchestrator": video_pipeline.ContentGenerationOrchestrator(
                Generator(), Pipeline()
            ),
            "Event": Event("render", 0, 1),
            "InstagramPublisher": video_pipeline.InstagramPublisher(config=posts),
            "JobTracker": video_pipeline.JobTracker([job]),
            "NodeClient": pipeline.client,
            "OutputPaths": result.outputs,
            "Publisher": video_pipeline.AccountPublisher("folder", config=posts),
            "PublishingManager": video_pipeline.PublishingManager(posts),
            "RenderResult": result,
            "Sound": Sound(folder / "a.wav", "0", Fraction(1)),
            "VideoGenerationPipeline": pipeline,
            "VideoGenerationQueue": queue,
            "VideoInfo": INFO,
            "VideoJob": job,
        }
        yield {
            **objects,
            "folder": folder,
            "story": STORY,
            "story_data": STORY,
            "config": config,
            "source": config,
            "output": folder / "new" / "o.mp4",
            "path": folder / "story.json",
            "data": STORY,
            "job_id": job.job_id,
            "timeout": 0.01,
            "job": job,
            "status": STATUS,
            "scenes": [],
            "story_scenes": [],
            "generated_assets": {},
            "video_info": INFO.as_dict(),
            "video_path": folder / "v.mp4",
            "output_path": folder / "new" / "o.mp4",
            "error": OSError("x"),
            "scene_data": {"scene_id": "a"},
            "job_data": {},
            "prompt": "p",
            "platform": "folder",
            "target_platforms": ["folder", "youtube"],
            "video_data": {"video_path": folder / "v.mp4", "video_info": INFO.as_dict()},
            "story_generator": Generator(),
            "video_pipeline": Pipeline(),
            "message": "m",
            "what": "w",
            "argv": ["a"],
            "returncode": 1,
            "stderr": "",
        }


def bound(callee: Callee, world: dict[str, Any]) -> Callable[..., Any]:
    """Return a callee as its caller sees it."""
    if callee.owner is None:
        return callee.function
    member = callee.name.rpartition(".")[2]
    if member == "__init__":
        return callee.owner
    method: Callable[..., Any] = getattr(world.get(callee.owner.__name__), member)
    return method


def finish(value: Any) -> None:
    """Run the coroutine that a call returned, or take a few items of its iterator, which may be endless."""
    if inspect.iscoroutine(value):
        asyncio.run(asyncio.wait_for(value, 20))
    elif inspect.isgenerator(value):
        raised: list[BaseException] = []

        def step() -> None:
            try:
                next(value, None)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        thread.join(0.5)
        if raised:
            raise raised[0]
    elif inspect.isasyncgen(value):

        async def first() -> None:
            with contextlib.suppress(StopAsyncIteration, TimeoutError):
                await asyncio.wait_for(anext(value), 0.5)

        asyncio.run(first())
    elif isinstance(value, LEFT_OPEN):
        closed = value.close()
        if inspect.iscoroutine(closed):
            asyncio.run(closed)


LEFT_OPEN = (
    video_pipeline.NodeClient,
    video_pipeline.AsyncNodeClient,
    VideoGenerationPipeline,
    AsyncVideoGenerationPipeline,
    VideoGenerationQueue,
)


def good_arguments(callee: Callee, parameter: str, world: dict[str, Any]) -> dict[str, Any]:
    """Return right values of the parameters that a call needs besides a wrong one."""
    good = {name: world.get(name, "x") for name in callee.required}
    if callee.name.endswith("VideoGenerationPipeline.submit_job") and parameter not in (
        "story",
        "story_data",
    ):
        good["story"] = STORY
    if (
        callee.name.endswith("VideoGenerationPipeline.__init__")
        and parameter in ConnectOptions.__annotations__
    ):
        good["connect"] = "tcp://127.0.0.1:9"
    return good


@pytest.mark.parametrize("name", CALLEES)
def test_a_wrong_argument_is_refused_in_words_or_works(name: str, world: dict[str, Any]) -> None:
    callee = CALLEES[name]
    faults = []
    for parameter, value, wrong in wrong_calls(callee):
        if parameter == "timeout" and value in (None, 7):
            continue  # right, and long
        if parameter == "on_event" and callable(value):
            continue  # right; other errors are the callable's own
        try:
            finish(bound(callee, world)(**good_arguments(callee, parameter, world) | wrong))
        except (PipelineError, TimeoutError, ValidationError):
            continue
        except TypeError as error:
            if not any(words in str(error) for words in SAYS_WHAT_IS_ALLOWED):
                faults.append(f"{name}({parameter}={value!r}): {error}")
        except Exception as error:
            faults.append(f"{name}({parameter}={value!r}): {type(error).__name__}: {error}")
    assert not faults, "\n".join(faults)


def test_at_least_ten_wrong_arguments_are_tried_on_every_public_callable() -> None:
    assert len(WRONG) >= 10
    assert {"render_story", "load_config", "NodeClient.submit", "VideoRenderer.render_video"} <= set(CALLEES)
    named = {name.partition(".")[0] for name in CALLEES}
    assert {"Story", "StoryScene", "JobStatus"} == {
        name for name in video_pipeline.__all__ if name not in named and name != "__version__"
    }, "these check their fields with pydantic or enum"


# -- natural arguments ------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in/red.jpg").write_bytes(samples.picture(colour="red"))
    (tmp_path / "in/voice.wav").write_bytes(samples.sound(".wav"))
    data = {"title": "T", "scenes": [{"scene_id": "a", "duration": 0.3, "image": "red.jpg"}]}
    (tmp_path / "in/story.json").write_text(json.dumps(data))
    (tmp_path / "in/config.yaml").write_text(json.dumps(CONFIG))
    return tmp_path


def test_a_render_takes_paths_as_text_and_data(folder: Path) -> None:
    by_path = render_story("in/story.json", "out/a.mp4", config="in/config.yaml", voice_over="in/voice.wav")
    assert by_path.warnings == ()
    assert by_path.outputs.video == Path("out/a.mp4")
    story = json.loads((folder / "in/story.json").read_text())
    voice = probe_sound(folder / "in/voice.wav")
    by_data = render_story(
        story, folder / "out/b.mp4", config=CONFIG, base="in", voice_over=voice, sources={"mine": "in/x"}
    )
    assert by_data.outputs.video.read_bytes() == by_path.outputs.video.read_bytes()
    objects = render_story(
        load_story("in/story.json"),
        OutputPaths("out/c.mp4").video,
        config=load_config("in/config.yaml"),
        base=folder / "in",
        voice_over=Sound(str(voice.path), voice.sha256, voice.duration),  # type: ignore[arg-type]
    )
    assert objects.outputs.video.read_bytes() == by_path.outputs.video.read_bytes()
    (folder / "in/voice.mp4").symlink_to("voice.wav")
    with pytest.raises(InputError, match=r"would replace in/voice\.wav, which is read \(voice_over\)"):
        render_story("in/story.json", "in/voice.mp4", voice_over="in/voice.wav")
    with pytest.raises(InputError, match=r"voice_over: in/gone\.wav: does not exist"):
        render_story("in/story.json", "out/d.mp4", voice_over="in/gone.wav")


def test_the_high_level_classes_take_paths_as_text(folder: Path) -> None:
    renderer = VideoRenderer("in/config.yaml")
    scenes = [{"image_path": Path("in/red.jpg"), "duration": 0.3}]
    result = renderer.render_video(scenes, "out/a.mp4", audio_path="in/voice.wav")
    assert result["warnings"] == []
    found = video_pipeline.AssetGenerator("in/config.yaml", base="in").generate(
        [{"scene_id": "a", "image": "red.jpg"}]
    )
    assert found["warnings"] == []
    assert video_pipeline.MetadataGenerator().generate_thumbnail("out/a.mp4", 0).endswith("a_thumb.jpg")


def test_a_pipeline_takes_a_story_by_its_path_and_a_configuration_as_an_object(folder: Path) -> None:
    config = {**CONFIG, "storage": {"output_path": str(folder / "out")}}
    with VideoGenerationPipeline(config, state_path=str(folder / "state")) as pipeline:
        own = load_config({"video": {"fps": 25}}, environ=False)
        job = pipeline.submit_job("in/story.json", own, base="in")
        assert pipeline.wait_for_job(job.id, timeout=120)["video_info"]["fps"] == 25
        again = pipeline.client.submit("in/story.json", own, key="one")
        with pytest.raises(JobConflictError):
            pipeline.client.submit("in/story.json", {"video": {"fps": 30}}, key="one")
        assert pipeline.client.wait(again.job_id, 120).status is JobStatus.COMPLETED


def test_a_wait_that_is_over_returns_the_state_and_a_wait_for_a_result_raises(folder: Path) -> None:
    with VideoGenerationPipeline(CONFIG, state_path=folder / "state") as pipeline:
        later = datetime(2100, 1, 1, tzinfo=UTC)
        job = pipeline.submit_job(STORY, scheduled_for=later)
        assert pipeline.client.wait(job.id, 0.05).status is JobStatus.QUEUED
        with pytest.raises(TimeoutError, match="is still queued"):
            pipeline.wait_for_job(job.id, timeout=0.05)
