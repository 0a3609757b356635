"""Only whole files that a job's result names are read, and never through a link."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.finished_jobs import finished_job, video_bytes
from tests.support.ledgers import job, submit
from video_pipeline.engine.jobs.ledger.ledger import Ledger
from video_pipeline.engine.jobs.messages import ErrorReply, Fetch, FileChunk, Files, JobFiles, Message
from video_pipeline.engine.jobs.server.result_files import answer_read, file_read
from video_pipeline.engine.jobs.server.wire import RequestError
from video_pipeline.engine.outputs.paths import ROLES


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite3") as opened:
        yield opened


@pytest.fixture
def finished(ledger: Ledger, tmp_path: Path) -> str:
    """A finished job with a video of 3000 bytes."""
    return finished_job(ledger, tmp_path / "out", size=3000)


def ask(ledger: Ledger, request: Files | Fetch) -> Message:
    try:
        return answer_read(file_read(job(ledger, request.job_id), request))
    except RequestError as refusal:
        return refusal.reply


def refused(ledger: Ledger, request: Files | Fetch) -> tuple[str, str]:
    answer = ask(ledger, request)
    assert isinstance(answer, ErrorReply), answer
    return answer.code, answer.message


def test_every_file_is_listed_with_its_size_and_checksum(
    ledger: Ledger, finished: str, tmp_path: Path
) -> None:
    listing = ask(ledger, Files(job_id=finished))
    assert isinstance(listing, JobFiles)
    assert tuple(file.role for file in listing.files) == ROLES
    for file in listing.files:
        data = (tmp_path / "out" / finished / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 10, (0, 10)),
        (2990, 100, (2990, 3000)),
        (3000, 1, (3000, 3000)),
        (2**62, 1, (3000, 3000)),
        (7, 1 << 20, (7, 3000)),
    ],
)
def test_a_part_of_a_file_is_read(
    ledger: Ledger, finished: str, offset: int, length: int, expected: tuple[int, int]
) -> None:
    chunk = ask(ledger, Fetch(job_id=finished, name="film.mp4", offset=offset, length=length))
    assert isinstance(chunk, FileChunk)
    assert (chunk.offset, chunk.file_size) == (offset, 3000)
    assert chunk.data == video_bytes(3000)[slice(*expected)]


def test_no_other_file_of_the_folder_is_read(ledger: Ledger, finished: str, tmp_path: Path) -> None:
    (tmp_path / "out" / finished / "other.txt").write_text("not of the result")
    code, message = refused(ledger, Fetch(job_id=finished, name="other.txt"))
    assert (code, message[:22]) == ("NOT_FOUND", "name: got 'other.txt';")
    assert "film.mp4" in message


def test_a_link_is_not_followed(ledger: Ledger, finished: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"s" * 3000)
    video = tmp_path / "out" / finished / "film.mp4"
    video.unlink()
    video.symlink_to(secret)
    for request in (Files(job_id=finished), Fetch(job_id=finished, name="film.mp4")):
        code, message = refused(ledger, request)
        assert code == "CONFLICT"
        assert "film.mp4 was changed after the job: a link has replaced it" in message


def test_a_folder_that_became_a_link_is_not_followed(ledger: Ledger, finished: str, tmp_path: Path) -> None:
    folder = tmp_path / "out" / finished
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert refused(ledger, Fetch(job_id=finished, name="film.mp4"))[0] == "CONFLICT"


def test_a_pipe_in_place_of_a_file_does_not_block(ledger: Ledger, finished: str, tmp_path: Path) -> None:
    video = tmp_path / "out" / finished / "film.mp4"
    video.unlink()
    os.mkfifo(video)
    code, message = refused(ledger, Fetch(job_id=finished, name="film.mp4"))
    assert (code, "it is no regular file" in message) == ("CONFLICT", True)


def test_files_that_were_deleted_are_gone(ledger: Ledger, finished: str, tmp_path: Path) -> None:
    folder = tmp_path / "out" / finished
    (folder / "film.mp4").unlink()
    for request in (Files(job_id=finished), Fetch(job_id=finished, name="film.mp4")):
        assert refused(ledger, request) == ("NOT_FOUND", f"{finished}: the node no longer has film.mp4")
    shutil.rmtree(folder)
    for request in (Files(job_id=finished), Fetch(job_id=finished, name="film.mp4")):
        assert refused(ledger, request) == ("NOT_FOUND", f"{finished}: the node no longer has all its files")


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", '{"outputs": 7}', '{"outputs": []}', '{"outputs": [{"name": "film.mp4", "size": 3000}]}'],
)
def test_a_manifest_that_does_not_list_the_files_is_a_conflict(
    ledger: Ledger, finished: str, tmp_path: Path, manifest: str
) -> None:
    (tmp_path / "out" / finished / "film.manifest.json").write_text(manifest)
    code, message = refused(ledger, Files(job_id=finished))
    assert code == "CONFLICT"
    assert "film.manifest.json was changed after the job" in message


def test_a_file_of_another_size_than_its_manifest_says_is_a_conflict(
    ledger: Ledger, finished: str, tmp_path: Path
) -> None:
    with (tmp_path / "out" / finished / "film.mp4").open("ab") as file:
        file.write(b"more")
    code, message = refused(ledger, Files(job_id=finished))
    assert code == "CONFLICT"
    assert "it has 3004 bytes, and its manifest says 3000" in message


def test_only_a_completed_job_has_files(ledger: Ledger) -> None:
    queued = submit(ledger)
    assert refused(ledger, Files(job_id=queued)) == (
        "CONFLICT",
        f"{queued} has the status queued; only a completed job has files",
    )
    ledger.jobs.request_cancel(queued)
    assert "has the status cancelled" in refused(ledger, Fetch(job_id=queued, name="film.mp4"))[1]


def test_a_result_that_names_no_files_has_none(ledger: Ledger) -> None:
    job_id = submit(ledger)
    attempt = ledger.attempts.claim()
    assert attempt is not None
    assert ledger.attempts.begin_publishing(job_id, attempt.fence)
    assert ledger.attempts.complete(job_id, attempt.fence, json.loads("{}"))
    assert refused(ledger, Files(job_id=job_id))[0] == "NOT_FOUND"
