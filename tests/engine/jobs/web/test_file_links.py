"""Links to files: for one file, one user and a time, and no longer than the user's token."""

from __future__ import annotations

import httpx
import pytest

from tests.support.finished_jobs import finished_job, video_bytes
from tests.support.waiting import FAST_SECONDS, wait_until
from tests.support.web import WebNode, get
from video_pipeline.engine.jobs.tokens import remove_token
from video_pipeline.engine.jobs.web.access import Caller
from video_pipeline.engine.jobs.web.file_links import LINK_SECONDS, LINKS_MOST, LINKS_OF_A_USER, FileLinks

SIZE = 100_000


@pytest.fixture(scope="module")
def job_id(web_node: WebNode) -> str:
    with web_node.ledger() as ledger:
        return finished_job(ledger, web_node.config.storage.output_path, size=SIZE, owner="linker")


def test_a_link_ends_and_the_oldest_of_a_user_gives_way() -> None:
    now = [0.0]
    links = FileLinks(now=lambda: now[0])
    mine = [links.make(Caller("a"), "job", f"{number}") for number in range(LINKS_OF_A_USER)]
    other = links.make(Caller("b"), "job", "x")
    more = links.make(Caller("a"), "job", "more")
    assert links.get(mine[0]) is None
    assert links.get(mine[1]) is not None
    assert links.get(other) is not None
    now[0] = LINK_SECONDS
    assert links.get(more) is links.get(other) is None
    for number in range(LINKS_MOST + 10):
        links.make(Caller(f"user-{number}"), "job", "x")
    assert len(links) == LINKS_MOST


def test_a_link_reads_one_file_without_a_token_until_the_token_is_taken_away(
    web_node: WebNode, job_id: str
) -> None:
    with web_node.client("linker") as linker, web_node.client("stranger") as stranger:
        place = f"/jobs/{job_id}/files/film.mp4/link"
        assert stranger.post(place).status_code == 404
        assert linker.post(f"/jobs/{job_id}/files/other.mp4/link").status_code == 404
        assert linker.get(place).status_code == 405
        made = linker.post(place).json()
        assert made["seconds"] == LINK_SECONDS
        url = web_node.url + made["url"]
        assert get(url).content == video_bytes(SIZE)
        part = get(url, headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, video_bytes(SIZE)[10:20])
        assert httpx.head(url, timeout=FAST_SECONDS).headers["content-length"] == str(SIZE)
        assert part.headers["content-security-policy"].startswith("sandbox")
        assert stranger.get(f"{made['url']}x").json()["code"] == "NOT_FOUND"
        token = linker.headers["authorization"].removeprefix("Bearer ")
        remove_token(web_node.keys, token.split("_")[1])
        wait_until(lambda: get(url).status_code == 404, what="a link that is no longer good")
        assert stranger.get(made["url"]).status_code == 404
