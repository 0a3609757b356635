"""The page in a real browser while a real node renders: progress, the video, its log, and a node that is started again."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, expect

from tests.support.browser import needs_chromium, page_of, wait_in_page
from tests.support.jobs import NodeProcess, long_story, node_process, tiny_story
from tests.support.ports import free_port
from tests.support.waiting import FAST_SECONDS, wait_until

pytestmark = needs_chromium

SLOW = {"video": {"compositor": "ffmpeg"}}
"""The configuration of a job that is to be under way until a test ends it."""


def wait_for_page(node: NodeProcess, url: str) -> None:
    node.wait_until_ready()
    wait_until(lambda: f"the page is at {url}/" in node.log.read_text(), what="the page")


def submitted(url: str, story: Mapping[str, Any], **fields: Any) -> str:
    reply = httpx.post(f"{url}/jobs", json={"story": story, **fields}, timeout=FAST_SECONDS)
    assert reply.status_code == 201, reply.text
    return str(reply.json()["job_id"])


def test_a_story_is_seen_from_the_queue_to_its_video(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with node_process(tmp_path, web={"enabled": True, "port": port}) as node, page_of(browser) as page:
        wait_for_page(node, url)
        page.goto(f"{url}/")
        expect(page.locator("#connection")).to_have_text("live")
        before = submitted(url, long_story("before", seconds=600), config=SLOW)
        job_id = submitted(url, tiny_story("seen", seconds=200, text=os.urandom(4).hex()))
        row = page.locator(f"tr[data-job='{job_id}']")
        row.locator("a.title").click()
        page.evaluate(
            """() => { window.seen = new Set(); const bar = document.querySelector("#job progress");
            new MutationObserver(() => { if (!bar.hidden && bar.hasAttribute("value")) window.seen.add(bar.value); })
            .observe(document.querySelector("#job"), { subtree: true, attributes: true, childList: true, characterData: true }); }"""
        )
        expect(page.locator("#job .state").first).to_have_text("queued")
        httpx.delete(f"{url}/jobs/{before}", timeout=FAST_SECONDS)  # which had the only slot until now
        expect(page.locator("#job .state").first).to_have_text("completed", timeout=4 * FAST_SECONDS * 1000)
        expect(row.locator(".state")).to_have_text("completed")
        percents = page.evaluate("[...window.seen]")
        assert sorted(percents) == percents
        assert len([each for each in percents if 0 < each <= 100]) >= 3
        expect(page.locator("#job video")).to_be_visible()
        page.evaluate(
            "() => { const video = document.querySelector('#job video'); video.muted = true; return video.play(); }"
        )
        wait_in_page(page, "document.querySelector('#job video').currentTime > 0.5")
        page.evaluate("document.querySelector('#job video').currentTime = 4")
        wait_in_page(page, "document.querySelector('#job video').currentTime > 4.2")
        assert page.evaluate("document.querySelector('#job img').naturalWidth") > 0
        assert page.evaluate("document.querySelector('#job track').track.kind") == "captions"
        page.get_by_text("Show it").click()
        manifest = json.loads(page.locator("#job details pre").text_content() or "")
        assert manifest["outputs"][0]["name"] == "seen.mp4"
        expect(page.locator("#job .events li")).to_have_count(3)
        expect(page.get_by_label("Stages")).to_contain_text("render")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save seen.mp4").click()
        assert (
            Path(download.value.path()).read_bytes() == (tmp_path / "out" / job_id / "seen.mp4").read_bytes()
        )

        page.goto(f"{url}/?view=machines")
        card = page.locator(".card")
        expect(card).to_contain_text("0 of 1 render, 1 warm")
        expect(card).to_contain_text("Disk: output")
        card.get_by_role("button", name="Drain").click()
        page.click("#ask-yes")
        wait_until(lambda: b"the node is drained" in node.log.read_bytes(), what="a drained node")
        assert (
            httpx.post(f"{url}/jobs", json={"story": tiny_story()}, timeout=FAST_SECONDS).json()["code"]
            == "DRAINING"
        )
        expect(card).to_contain_text("the node is drained and accepts no new jobs")
        card.get_by_role("button", name="Let").click()
        expect(card.locator(".state")).to_have_text("ready")


def test_a_node_that_is_started_again_is_followed(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with node_process(tmp_path, web={"enabled": True, "port": port}) as node, page_of(browser) as page:
        wait_for_page(node, url)
        page.goto(f"{url}/")
        expect(page.locator("#connection")).to_have_text("live")
        job_id = submitted(url, long_story(seconds=600), config=SLOW)
        page.locator(f"tr[data-job='{job_id}'] a.title").click()
        expect(page.locator("#job .state").first).to_have_text("processing")
        node.process.send_signal(signal.SIGKILL) if node.process else None
        node.wait()
        expect(page.locator("#connection")).to_contain_text("not connected")
        with node.ledger() as ledger:
            ledger.jobs.request_cancel(job_id)
            ledger.events.last_seq()
        node.start()
        wait_for_page(node, url)
        expect(page.locator("#connection")).to_have_text("live")
        expect(page.locator("#job .state").first).to_have_text("cancelled")
        with node.ledger() as ledger:
            lasting = [
                event.seq
                for event in ledger.events.page(after=0, limit=1000, job_id=job_id)
                if event.kind != "progress"
            ]
        shown = (
            "[...document.querySelectorAll('#job .events li')].map((e) => Number(e.dataset.seq)).reverse()"
        )
        wait_in_page(page, f"JSON.stringify({shown}) === '{json.dumps(lasting, separators=(',', ':'))}'")
