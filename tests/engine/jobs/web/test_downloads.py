"""Files of finished jobs over HTTP: whole, in ranges, by ETag, and never a wrong byte without a cut connection."""

from __future__ import annotations

import base64
import hashlib
import random

import httpx
import pytest

from tests.support.finished_jobs import finished_job, video_bytes
from tests.support.ledgers import submit
from tests.support.web import WebNode, everything, get_bytes, raw
from video_pipeline.engine.jobs.web.downloads import PART_BYTES, ByteRange, byte_range
from video_pipeline.engine.jobs.web.replies import HttpError

SIZE = 3 * PART_BYTES + 11


@pytest.fixture(scope="module")
def job_id(web_node: WebNode) -> str:
    with web_node.ledger() as ledger:
        return finished_job(ledger, web_node.config.storage.output_path, size=SIZE)


def test_a_file_has_the_bytes_size_checksum_and_type_of_the_list(local: httpx.Client, job_id: str) -> None:
    for path in (f"/jobs/{job_id}/files", f"/jobs/{job_id}/files/"):
        listed = local.get(path).json()["files"]
        assert listed[0]["role"] == "video"
    kinds = {}
    for file in listed:
        got = local.get(f"/jobs/{job_id}/files/{file['name']}")
        digest = hashlib.sha256(got.content)
        assert (got.status_code, len(got.content), digest.hexdigest()) == (200, file["size"], file["sha256"])
        assert got.headers["etag"] == f'"{file["sha256"]}"'
        assert got.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
        kinds[file["role"]] = got.headers["content-type"].partition(";")[0]
        head = local.head(f"/jobs/{job_id}/files/{file['name']}")
        assert (head.content, head.headers["content-length"]) == (b"", str(file["size"]))
    assert kinds["video"] == "video/mp4"
    assert kinds["thumbnail"] in ("image/jpeg", "image/png")
    assert (kinds["vtt"], kinds["manifest"]) == ("text/vtt", "application/json")


def test_ranges_at_random_are_the_bytes_of_the_file(local: httpx.Client, job_id: str) -> None:
    data, rng = video_bytes(SIZE), random.Random(5)
    for _ in range(40):
        start = rng.randrange(SIZE)
        stop = rng.randrange(start, SIZE) + 1
        got = local.get(f"/jobs/{job_id}/files/film.mp4", headers={"Range": f"bytes={start}-{stop - 1}"})
        assert (got.status_code, got.content) == (206, data[start:stop]), (start, stop)
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/{SIZE}"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("bytes=0-", ByteRange(0, 100)),
        ("bytes=99-", ByteRange(99, 100)),
        ("bytes=5-5", ByteRange(5, 6)),
        ("bytes=5-500", ByteRange(5, 100)),
        ("bytes=-1", ByteRange(99, 100)),
        ("bytes=-500", ByteRange(0, 100)),
        ("bytes=6-5", None),
        ("bytes=1-2,4-5", None),
        ("lines=1-2", None),
        ("bytes=", None),
        ("bytes=--1", None),
        ("bytes=1" + "0" * 30 + "-", None),
    ],
)
def test_a_range_is_read_as_rfc_9110_says(value: str, found: ByteRange | None) -> None:
    assert byte_range(value, 100) == found


@pytest.mark.parametrize("value", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_the_file_is_refused_with_its_size(
    local: httpx.Client, job_id: str, value: str
) -> None:
    with pytest.raises(HttpError) as refused:
        byte_range(value, 100)
    assert refused.value.status == 416
    got = local.get(f"/jobs/{job_id}/files/film.mp4", headers={"Range": f"bytes={SIZE}-"})
    assert (got.status_code, got.headers["content-range"]) == (416, f"bytes */{SIZE}")


def test_an_etag_saves_the_download_and_guards_a_range(local: httpx.Client, job_id: str) -> None:
    path = f"/jobs/{job_id}/files/film.mp4"
    tag = local.head(path).headers["etag"]
    for value in (tag, f'"x", W/{tag}', "*"):
        same = local.get(path, headers={"If-None-Match": value})
        assert (same.status_code, same.content) == (304, b"")
    assert local.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
    assert local.get(path, headers={"If-Match": '"x"'}).status_code == 412
    assert local.get(path, headers={"If-Match": f"W/{tag}"}).status_code == 412
    assert local.get(path, headers={"If-Match": '"x"', "If-None-Match": tag}).status_code == 412
    assert local.get(path, headers={"If-Match": f'"x", {tag}', "If-None-Match": tag}).status_code == 304
    part = {"Range": "bytes=0-9"}
    assert local.get(path, headers={**part, "If-Range": tag}).status_code == 206
    assert local.get(path, headers={**part, "If-Range": '"x"'}).status_code == 200
    assert local.get(path, headers={**part, "If-Range": f"W/{tag}"}).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "nothing.mp4",
        "..%2f..%2fledger.sqlite3",
        "..",
        "%2e%2e",
        ".result.json",
        "film.mp4/",
        "",
        "film%00.mp4",
    ],
)
def test_no_other_file_can_be_named(web_node: WebNode, job_id: str, name: str) -> None:
    with raw(web_node) as connection:  # a client would rewrite some of these paths
        connection.sendall(get_bytes(f"/jobs/{job_id}/files/{name}", "Connection: close"))
        status = int(everything(connection).split()[1])
    assert status in ((200,) if name in ("film.mp4/", "") else (400, 404))


def test_only_a_completed_job_has_files(web_node: WebNode, local: httpx.Client) -> None:
    with web_node.ledger() as ledger:
        queued = submit(ledger, "later")
    for path in (f"/jobs/{queued}/files", f"/jobs/{queued}/files/film.mp4"):
        got = local.get(path)
        assert (got.status_code, got.json()["code"]) == (409, "CONFLICT")
    local.delete(f"/jobs/{queued}")  # the next test claims its own


def test_a_file_that_is_cut_short_during_a_download_ends_the_connection(web_node: WebNode) -> None:
    with web_node.ledger() as ledger:
        job_id = finished_job(ledger, web_node.config.storage.output_path, size=40_000_000, name="long")
    path = web_node.config.storage.output_path / job_id / "long.mp4"
    with raw(web_node) as connection:
        connection.sendall(get_bytes(f"/jobs/{job_id}/files/long.mp4"))
        first = connection.recv(65536)
        assert first.startswith(b"HTTP/1.1 200 OK")
        path.write_bytes(b"")
        rest = everything(connection)
    assert len(first) + len(rest) < 40_000_000
    with web_node.client() as client:
        assert client.get(f"/jobs/{job_id}/files/long.mp4").status_code == 409


def test_files_are_their_owner_s(web_node: WebNode) -> None:
    with web_node.ledger() as ledger:
        job_id = finished_job(ledger, web_node.config.storage.output_path, size=10, owner="anna", name="hers")
    with web_node.client("anna") as anna, web_node.client("ben") as ben, web_node.client("chief") as chief:
        assert [each.get(f"/jobs/{job_id}/files/hers.mp4").status_code for each in (anna, ben, chief)] == [
            200,
            404,
            200,
        ]
