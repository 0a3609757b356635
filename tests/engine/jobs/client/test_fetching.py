"""Files of finished jobs are fetched over real sockets: whole or not at all, by their owner, after kills too."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.jobs.client.soak_fetch import run
from tests.support.finished_jobs import finished_job, video_bytes
from tests.support.jobs import tiny_story
from tests.support.ledgers import submit
from tests.support.server import RunningServer, node_config
from tests.support.waiting import FAST_SECONDS
from video_pipeline.engine.config import load_config
from video_pipeline.engine.errors import (
    InputError,
    JobConflictError,
    JobNotFoundError,
    NodeError,
    RenderingError,
)
from video_pipeline.engine.jobs.client.async_client import AsyncNodeClient
from video_pipeline.engine.jobs.client.client import NodeClient
from video_pipeline.engine.jobs.client.fetching import FetchProgress
from video_pipeline.engine.jobs.curve import make_client_key, make_node_key
from video_pipeline.engine.jobs.embedded.local_jobs import LocalJobs
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.messages import CHUNK_MAX_BYTES
from video_pipeline.engine.outputs.paths import ROLES

PATIENT_SECONDS = 2 * FAST_SECONDS
SIZE = 5 * CHUNK_MAX_BYTES + 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(node_config(tmp_path_factory.mktemp("node"))) as running:
        yield running


@pytest.fixture
def client(server: RunningServer) -> Iterator[NodeClient]:
    with NodeClient(server.requests, timeout=PATIENT_SECONDS) as made:
        yield made


@pytest.fixture
def ledger(server: RunningServer) -> Iterator[Ledger]:
    with server.ledger() as opened:
        yield opened


@pytest.fixture
def finish(server: RunningServer, ledger: Ledger) -> Callable[..., str]:
    """Complete a job of the server."""
    return lambda **values: finished_job(
        ledger, server.config.storage.output_path, **{"size": SIZE, **values}
    )


def test_all_files_are_fetched_with_progress(
    client: NodeClient, finish: Callable[..., str], server: RunningServer, tmp_path: Path
) -> None:
    job_id = finish()
    seen: list[FetchProgress] = []
    paths = client.fetch(job_id, tmp_path / "got", on_progress=seen.append)
    assert tuple(paths) == ROLES
    for path in paths.values():
        source = server.config.storage.output_path / job_id / path.name
        assert path.read_bytes() == source.read_bytes()
    assert sorted((tmp_path / "got").iterdir()) == sorted(paths.values())
    done = [progress.done_bytes for progress in seen]
    assert done == sorted(done)
    assert done[-1] == seen[0].total_bytes == sum(path.stat().st_size for path in paths.values())
    assert [p.done_bytes for p in seen if p.name == "film.mp4"][:3] == [
        0,
        CHUNK_MAX_BYTES,
        2 * CHUNK_MAX_BYTES,
    ]


def test_some_files_are_fetched_by_role_or_name(
    client: NodeClient, finish: Callable[..., str], tmp_path: Path
) -> None:
    job_id = finish(size=0)
    paths = client.fetch(job_id, tmp_path, files=["film.srt", "video"])
    assert list(paths) == ["video", "srt"]
    assert paths["video"].read_bytes() == b""
    for wrong in (["sound"], []):
        with pytest.raises(InputError, match=r"files: got .*; allowed: video, thumbnail, srt"):
            client.fetch(job_id, tmp_path, files=wrong)
    with pytest.raises(TypeError, match="files: got 'video'"):
        client.fetch(job_id, tmp_path, files="video")


def test_two_clients_fetch_at_a_time_and_the_asyncio_one_too(
    server: RunningServer, finish: Callable[..., str], tmp_path: Path
) -> None:
    jobs = [finish(seed=seed) for seed in (1, 2, 3)]

    def fetch(number: int) -> None:
        with NodeClient(server.requests, encoding="msgpack", timeout=PATIENT_SECONDS) as own:
            own.fetch(jobs[number], tmp_path / str(number))

    async def fetch_both() -> None:
        async with AsyncNodeClient(server.requests, timeout=PATIENT_SECONDS) as own:
            await asyncio.gather(own.fetch(jobs[2], tmp_path / "2"), own.fetch(jobs[0], tmp_path / "3"))

    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(fetch, number) for number in (0, 1)]
        asyncio.run(fetch_both())
        for one in waiting:
            one.result(2 * PATIENT_SECONDS)
    for number, seed in enumerate((1, 2, 3, 1)):
        assert (tmp_path / str(number) / "film.mp4").read_bytes() == video_bytes(SIZE, seed)


def test_a_cancelled_task_goes_on_in_the_next_fetch(
    server: RunningServer, finish: Callable[..., str], tmp_path: Path
) -> None:
    job_id = finish()

    async def begin_and_cancel() -> None:
        async with AsyncNodeClient(server.requests, timeout=PATIENT_SECONDS) as own:
            reached = asyncio.Event()

            def show(progress: FetchProgress) -> None:
                if progress.done_bytes >= 2 * CHUNK_MAX_BYTES:
                    reached.set()

            fetching = asyncio.create_task(own.fetch(job_id, tmp_path, files=["video"], on_progress=show))
            await reached.wait()
            fetching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await fetching
            first: list[int] = []
            await own.fetch(
                job_id, tmp_path, files=["video"], on_progress=lambda shown: first.append(shown.done_bytes)
            )
            assert first[0] >= 2 * CHUNK_MAX_BYTES

    asyncio.run(begin_and_cancel())
    assert (tmp_path / "film.mp4").read_bytes() == video_bytes(SIZE)


def test_a_killed_client_goes_on_where_it_ended(tmp_path: Path, session_cache: Path) -> None:
    found = run(tmp_path, megabytes=12, kills=2, cache=session_cache)
    print(found)
    assert (found["status"], found["right"], found["left"]) == (0, True, ["film.mp4"])
    assert found["starts"] == sorted(found["starts"])
    assert found["starts"][-1] > 0
    assert found["client_peak_bytes"] < 64 << 20
    assert found["transferred"] <= found["bytes"] + 2 * CHUNK_MAX_BYTES


def test_a_video_that_was_changed_in_place_is_fetched_once_more_and_then_refused(
    client: NodeClient, finish: Callable[..., str], server: RunningServer, tmp_path: Path
) -> None:
    job_id = finish()
    video = server.config.storage.output_path / job_id / "film.mp4"
    video.write_bytes(video_bytes(SIZE, 9))
    seen: list[int] = []
    with pytest.raises(NodeError, match=r"film\.mp4 has another checksum than the node says"):
        client.fetch(job_id, tmp_path / "got", on_progress=lambda shown: seen.append(shown.done_bytes))
    assert (seen.count(0), seen.count(SIZE)) == (2, 2)
    assert not (tmp_path / "got/film.mp4").exists()
    video.write_bytes(video_bytes(SIZE))
    assert client.fetch(job_id, tmp_path / "got")["video"].read_bytes() == video_bytes(SIZE)


def test_a_wrong_part_of_an_earlier_fetch_is_replaced(
    client: NodeClient, finish: Callable[..., str], tmp_path: Path
) -> None:
    job_id = finish()
    part = tmp_path / f".fetch-{job_id}" / "film.mp4"
    part.parent.mkdir()
    part.write_bytes(b"\0" * 3_000_000)  # as a power cut may leave it
    assert client.fetch(job_id, tmp_path)["video"].read_bytes() == video_bytes(SIZE)


@pytest.mark.parametrize("change", ["shorter", "deleted"])
def test_a_video_that_changes_or_goes_while_it_is_fetched_is_an_error(
    client: NodeClient, finish: Callable[..., str], server: RunningServer, tmp_path: Path, change: str
) -> None:
    job_id = finish(size=12 * CHUNK_MAX_BYTES)
    folder = server.config.storage.output_path / job_id

    def meddle(progress: FetchProgress) -> None:
        if progress.done_bytes == CHUNK_MAX_BYTES:
            if change == "deleted":
                shutil.rmtree(folder)
            else:
                (folder / "film.mp4").write_bytes(b"short")

    expected: type[NodeError] = JobNotFoundError if change == "deleted" else JobConflictError
    with pytest.raises(expected, match="the node no longer has" if change == "deleted" else "was changed"):
        client.fetch(job_id, tmp_path / "got", on_progress=meddle)
    assert not (tmp_path / "got/film.mp4").exists()


def test_a_job_that_is_not_completed_or_not_there_is_one_clear_error(
    client: NodeClient, ledger: Ledger, tmp_path: Path
) -> None:
    queued = submit(ledger)
    with pytest.raises(
        JobConflictError, match=f"{queued} has the status queued; only a completed job has files"
    ):
        client.fetch(queued, tmp_path / "got")
    ledger.jobs.request_cancel(queued)
    with pytest.raises(JobConflictError, match="has the status cancelled"):
        client.fetch(queued, tmp_path / "got")
    with pytest.raises(JobNotFoundError, match="there is no job"):
        client.fetch("job-" + "0" * 24, tmp_path / "got")
    with pytest.raises(InputError, match="job_id"):
        client.fetch("../etc", tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_with_keys_only_the_owner_and_operators_fetch(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    public = make_node_key(keys)
    names = ("ada", "bob", "root")
    secrets = {name: make_client_key(keys, name, into=tmp_path / name) for name in names}
    config = node_config(tmp_path / "node", keys_path=str(keys), curve="on", operators=["root"])
    with RunningServer(config) as running, running.ledger() as opened:
        job_id = finished_job(opened, config.storage.output_path, size=SIZE, owner="ada")
        for name in names:
            with NodeClient(
                running.requests, key_file=secrets[name], node_key=public, timeout=PATIENT_SECONDS
            ) as own:
                if name == "bob":
                    with pytest.raises(JobNotFoundError, match="there is no job"):
                        own.fetch(job_id, tmp_path / "got" / name)
                else:
                    paths = own.fetch(job_id, tmp_path / "got" / name)
                    assert paths["video"].read_bytes() == video_bytes(SIZE)


def test_a_job_inside_this_program_is_fetched_alike(tmp_path: Path, session_cache: Path) -> None:
    config = load_config(
        {
            "video": {"size": [160, 284], "fps": 24, "preset": "ultrafast"},
            "tts": {"service": "none"},
            "node": {"min_free_mb": 1},
            "storage": {"output_path": str(tmp_path / "out"), "cache_path": str(session_cache)},
        },
        environ=False,
    )
    jobs = LocalJobs(config, state_path=tmp_path / "state", slots=1)
    jobs.start()
    try:
        with NodeClient(transport=jobs.transport) as own:
            job = own.wait(own.submit(tiny_story("here")).job_id, 2 * PATIENT_SECONDS)
            paths = own.fetch(job.job_id, tmp_path / "got")
        assert job.result is not None
        assert paths["video"].read_bytes() == Path(job.result["video_path"]).read_bytes()
    finally:
        jobs.stop()


def test_a_second_fetch_into_the_folder_is_refused_while_the_first_goes_on(
    client: NodeClient, finish: Callable[..., str], tmp_path: Path
) -> None:
    job_id = finish()
    errors: list[str] = []

    def meanwhile(progress: FetchProgress) -> None:
        if progress.done_bytes == CHUNK_MAX_BYTES:
            with pytest.raises(RenderingError) as caught:
                client.fetch(job_id, tmp_path)
            errors.append(str(caught.value))

    client.fetch(job_id, tmp_path, on_progress=meanwhile)
    assert errors == [f"{tmp_path}: another program is fetching this job into it; wait for its end"]
