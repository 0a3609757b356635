"""The page in a real browser, over a node without workers: what it shows, and that its actions are done by the node."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import needs_chromium, page_of, wait_in_page
from tests.support.ledgers import claim, job, submit
from tests.support.page_setup import failed_job, machine, opened, unknown_publication
from tests.support.server import STORY
from tests.support.waiting import FAST_SECONDS, PROMPT_SECONDS, wait_until
from tests.support.web import WebNode, web_config
from video_pipeline.engine.jobs.machines import machine_name, write_machines
from video_pipeline.engine.jobs.model import Progress
from video_pipeline.engine.notify.outbox import NewNote, Outbox, outbox_path
from video_pipeline.engine.publish.records import Publications, publications_path

pytestmark = needs_chromium

HOSTILE = (
    "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>",
    "\u202egnp.exe\u202c and \u2066isolated\u2069 \u202dforced",
    "long " * 2000,
    "'\"><b>bold</b>&amp;{{x}}${y}`z`",
)


# --- what is shown ---------------------------------------------------------------------------------------------


def test_the_page_is_served_with_a_strict_policy_and_needs_no_token(page_node: WebNode) -> None:
    with page_node.client() as client:
        reply = client.get("/")
        policy = dict(part.split(" ", 1) for part in reply.headers["content-security-policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert "set-cookie" not in reply.headers
        assert client.get("/", headers={"If-None-Match": reply.headers["etag"]}).status_code == 304
        assert client.post("/").status_code == 405
        for name in ("main.js", "page.css", "icon.svg"):
            assert client.get(f"/page/{name}").status_code == 200
        for name in ("../application.py", "..%2fapplication.py", "nothing.js", ""):
            assert client.get(f"/page/{name}").status_code in (404, 400), name
        text = "".join(client.get(f"/page/{path.name}").text for path in page_sources())
        assert "innerHTML" not in text
        assert " style=" not in text
        assert "document.cookie" not in text


def page_sources() -> list[Path]:
    from video_pipeline.engine.jobs.web.page_files import FOLDER

    return [path for path in FOLDER.iterdir() if path.suffix in (".js", ".html", ".css")]


def test_text_of_others_is_shown_as_text(page_node: WebNode, page: Page) -> None:
    with page_node.ledger() as ledger:
        ids = [submit(ledger, text, owner=f"<u>{n}</u>", title=text) for n, text in enumerate(HOSTILE)]
    opened(page, page_node)
    for text, job_id in zip(HOSTILE, ids, strict=True):
        row = page.locator(f"tr[data-job='{job_id}']")
        assert row.locator("a.title").text_content() == text[:200]
        assert row.locator("a.title bdi").evaluate("e => getComputedStyle(e).unicodeBidi") == "isolate"
        assert row.locator("td").nth(4).text_content() == f"<u>{ids.index(job_id)}</u>"
        row.locator("a.title").click()
        expect(page.locator("#job-title")).to_have_text(text[:200].strip())
        page.keyboard.press("Escape")
    assert page.locator("tbody :is(img, script, b, u)").count() == 0
    assert "taken" not in page.title()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_filters_and_pages_are_in_the_url_and_go_back(page_node: WebNode, page: Page) -> None:
    with page_node.ledger() as ledger:
        for number in range(120):
            submit(ledger, owner="pager", title=f"page story {number}")
    opened(page, page_node)
    page.fill("#filter-user", "pager")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(100)
    expect(page).to_have_url(f"{page_node.url}/?user=pager")
    page.click("#page-older")
    expect(page.locator("tbody tr")).to_have_count(20)
    assert "before=job-" in page.url
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(20)
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(100)
    page.select_option("#filter-status", "cancelled")
    expect(page.locator(".empty")).to_be_visible()
    assert "status=cancelled" in page.url


def processor_seconds(page: Page) -> Callable[[], float]:
    """Return a function that returns the seconds that the page's main thread has computed since now, without waits."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def total() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    before = total()
    return lambda: total() - before


def test_ten_thousand_queued_jobs_do_not_freeze_the_page(browser: Browser, tmp_path: Path) -> None:
    config = web_config(tmp_path, max_requests_per_second=1e6, max_queued=20_000)
    with WebNode(config) as node, page_of(browser) as page, node.ledger() as ledger:
        with ledger.file.group():
            for number in range(10_000):
                submit(ledger, owner="many", title=f"many {number}", max_queued=20_000)
        began = time.monotonic()
        opened(page, node)
        expect(page.locator("tbody tr")).to_have_count(100)
        assert time.monotonic() - began < PROMPT_SECONDS
        busy = processor_seconds(page)
        attempt = claim(ledger)
        for step in range(300):
            ledger.attempts.progress(attempt.job_id, attempt.fence, Progress("render", step / 3))
        ledger.attempts.requeue(attempt.job_id, attempt.fence, reason="test")
        last = ledger.events.last_seq()
        wait_in_page(page, f"videoPipeline.live.last >= {last}")
        expect(page.locator(".counts")).to_contain_text("10,000 of 20,000")
        seconds = busy()
        assert seconds < 1, f"the page computed for {seconds:.1f} s"


# --- actions -----------------------------------------------------------------------------------------------------


def test_cancel_retry_and_priority_are_done_by_the_node(page_node: WebNode, page: Page) -> None:
    with page_node.ledger() as ledger:
        job_id = submit(ledger, title="to be changed")
        opened(page, page_node)
        row = page.locator(f"tr[data-job='{job_id}']")
        row.get_by_role("button", name="Cancel").click()
        expect(row.locator(".state")).to_have_text("cancelled")
        wait_until(lambda: job(ledger, job_id).status == "cancelled")
        expect(page.locator("#said")).to_contain_text("cancelled")
        row.get_by_role("button", name="Retry").click()
        expect(row.locator(".state")).to_have_text("queued")
        row.locator("a.title").click()
        page.select_option("#job-priority", "high")
        expect(row.locator("td").nth(3)).to_have_text("high")
        wait_until(lambda: job(ledger, job_id).priority == "high")
        page.locator("#job-title").focus()
        page.keyboard.press("-")
        expect(page.locator("#job-priority")).to_have_value("normal")
        wait_until(lambda: job(ledger, job_id).priority == "normal")
        page.keyboard.press("c")
        expect(page.locator("#job .state").first).to_have_text("cancelled")
        expect(page.locator("#job .events li")).to_have_count(6)
        assert job(ledger, job_id).status == "cancelled"


def test_all_failed_jobs_are_retried_after_a_question(page_node: WebNode, page: Page) -> None:
    ids = [failed_job(page_node, owner="faulty", title=f"faulty {number}") for number in range(3)]
    opened(page, page_node, "?user=faulty&status=failed")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.click("#retry-all")
    page.click("#ask-no")
    with page_node.ledger() as ledger:
        assert {job(ledger, job_id).status for job_id in ids} == {"failed"}
        page.click("#retry-all")
        page.click("#ask-yes")
        expect(page.locator("#said")).to_contain_text("3 jobs are queued again")
        assert {job(ledger, job_id).status for job_id in ids} == {"queued"}
        for job_id in ids:
            ledger.jobs.request_cancel(job_id)


def test_a_failed_job_shows_why_and_its_log(page_node: WebNode, page: Page) -> None:
    job_id = failed_job(page_node, title="why it failed")
    with page_node.ledger() as ledger:
        log = page_node.folders.log(job_id, job(ledger, job_id).fence)
    log.write_text("first line\n<b>last</b> line\n")
    opened(page, page_node, f"?job={job_id}")
    expect(page.locator("#job .warning")).to_have_text("StoryError: no <b>scene</b>")
    expect(page.locator("#job pre")).to_have_text("first line\n<b>last</b> line")
    opened(page, page_node, "?job=job-000000000000000000000000")  # and what is live stays so
    expect(page.locator("#job-title")).to_have_text("There is no such job")


def test_a_machine_is_drained_and_works_again(page_node: WebNode, page: Page) -> None:
    own, other = machine_name(), "another-machine"
    write_machines(
        page_node.folders.machines,
        [machine(own), machine(other), machine("third", state="not ready", reasons=("<b>",))],
    )
    opened(page, page_node, "?view=machines")
    card = page.locator(f"[data-machine='{own}']")
    expect(card).to_contain_text("<i>GPU</i>")
    expect(card).to_contain_text("40 % of 10 segments")
    expect(page.locator(".total")).to_contain_text("3 machines")
    page.get_by_role("button", name=f"Drain {other}").click()
    page.click("#ask-yes")
    expect(page.locator(f"[data-machine='{other}'] .state")).to_have_text("draining")
    expect(card.locator(".state")).to_have_text("ready")
    wait_until(lambda: page_node.server.drained_machines == {other}, what="the node is told")
    with page_node.client() as client:
        assert client.post("/jobs", json={"story": STORY}).status_code == 201
        card.get_by_role("button", name="Drain").click()
        page.click("#ask-yes")
        expect(card.locator(".state")).to_have_text("draining")
        wait_until(lambda: page_node.server.drained, what="the node is told")
        before = page_node.server.pid
        assert before is not None
        os.kill(before, signal.SIGKILL)  # the next server knows it from the node
        wait_until(lambda: page_node.server.pid not in (None, before))
        page_node.wait_until_ready()
        refused = client.post("/jobs", json={"story": STORY})
        assert (refused.status_code, refused.json()["code"]) == (503, "DRAINING")
        page.get_by_role("button", name=f"Let {own} work").click()
        page.get_by_role("button", name=f"Let {other} work").click()
        expect(card.locator(".state")).to_have_text("ready")
        wait_until(lambda: page_node.server.drained_machines == set(), what="the node is told")
        assert client.post("/jobs", json={"story": STORY}).status_code == 201


def test_unknown_publications_are_resolved(page_node: WebNode, page: Page) -> None:
    found, missing = (
        unknown_publication(page_node, title) for title in ("The <b>found</b> one", "missing one")
    )
    opened(page, page_node, "?view=publications&state=unknown")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator(f"tr[data-number='{found}']")).to_contain_text("The <b>found</b> one")
    page.get_by_role("button", name=f"Resolve publication {found}").click()
    page.check("#outcome-found")
    page.click("#ask-yes")  # the id is required
    expect(page.locator("#ask-dialog")).to_be_visible()
    page.fill("#post-id", "abc-1")
    page.click("#ask-yes")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name=f"Resolve publication {missing}").click()
    page.check("#outcome-missing")
    page.click("#ask-yes")
    expect(page.locator(".empty")).to_be_visible()
    records = Publications(publications_path(page_node.config))
    first, second = records.get(found), records.get(missing)
    records.close()
    assert first.state == "confirmed"
    assert first.published is not None
    assert first.published.remote_id == "abc-1"
    assert second.state == "prepared"


def test_dead_letters_are_sent_again(page_node: WebNode, page: Page) -> None:
    outbox = Outbox(outbox_path(page_node.config))
    with outbox.writing() as db:
        outbox.add(
            [NewNote(message_id="1", target="webhook/<b>", type="job.failed", subject="job-1", body="{}")], db
        )
    (note,) = outbox.listed()
    outbox.failed(note, "<b>refused</b>", due_at=None)
    opened(page, page_node, "?view=letters")
    expect(page.locator("tbody tr")).to_contain_text("<b>refused</b>")
    page.get_by_role("button", name=f"Send notification {note.number} again").click()
    expect(page.locator(".empty")).to_be_visible()
    assert outbox.get(note.number).state == "waiting"
    outbox.close()


# --- who may do what ---------------------------------------------------------------------------------------------


def test_a_token_is_asked_for_and_stays_in_the_tab(browser: Browser, tmp_path: Path) -> None:
    config = web_config(tmp_path, {"tokens": "required"}, operators=["chief"])
    with WebNode(config) as node, page_of(browser) as page, node.client("anna") as anna:
        anna.post("/jobs", json={"story": {**STORY, "title": "Anna's"}})
        page.goto(f"{node.url}/?view=jobs")
        expect(page.locator("#token-dialog")).to_be_visible()
        page.fill("#token", "vpt_wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-fault")).to_contain_text("does not know")
        token = anna.headers["authorization"].removeprefix("Bearer ")
        page.fill("#token", token)
        page.keyboard.press("Enter")
        expect(page.locator("tbody a.title")).to_have_text("Anna's")
        expect(page.locator("#who")).to_contain_text("anna")
        assert token not in page.url
        assert page.evaluate("sessionStorage.length + localStorage.length") == 1
        assert token in page.evaluate("JSON.stringify(sessionStorage)")
        page.reload()
        expect(page.locator("tbody a.title")).to_have_text("Anna's")
        page.goto(f"{node.url}/?view=letters")
        expect(page.locator(".empty")).to_have_text("Dead letters are for operators.")
        page.click("#sign-out")
        expect(page.locator("#token-dialog")).to_be_visible()


def test_users_drain_nothing_and_see_only_what_is_theirs(page_node: WebNode) -> None:
    unknown_publication(page_node, "of another", owner="ben")
    with page_node.ledger() as ledger:
        own, other = submit(ledger, owner="cara"), submit(ledger, owner="ben")
    write_machines(
        page_node.folders.machines,
        [machine(machine_name(), jobs=(own, other), reasons=("at /var/lib/x/y: full",))],
    )
    with page_node.client("cara") as cara, page_node.client("chief") as chief:
        for path in (
            f"/machines/{machine_name()}/drain",
            f"/machines/{machine_name()}/resume",
            "/letters/1/resend",
        ):
            reply = cara.post(path)
            assert (reply.status_code, reply.json()["code"]) == (403, "FORBIDDEN"), path
        assert cara.get(f"/jobs/{own}/log").status_code == 403
        assert cara.get("/letters").status_code == 403
        assert not page_node.server.drained_machines
        (shown,) = cara.get("/machines").json()["machines"]
        assert shown["jobs"] == [own]
        assert shown["reasons"] == ["at …/y: full"]
        assert cara.post(f"/jobs/{other}/priority?priority=high").status_code == 404
        assert cara.post(f"/jobs/{own}/priority?priority=high").json()["priority"] == "high"
        assert cara.post(f"/jobs/{own}/priority?priority=urgent").status_code == 400
        assert cara.get("/publications").json()["publications"] == []
        ours = chief.get("/publications?state=unknown").json()["publications"]
        assert cara.post(f"/publications/{ours[0]['number']}/resolve?outcome=missing").status_code == 404
        assert chief.post(f"/publications/{ours[0]['number']}/resolve?outcome=found").status_code == 400
        assert chief.post("/machines/nowhere/drain").status_code == 404
        assert cara.get("/jobs?user=ben").json()["jobs"] == []
        assert {each["user"] for each in chief.get("/jobs?user=ben").json()["jobs"]} == {"ben"}
        with page_node.ledger() as ledger:
            ledger.jobs.request_cancel(own)
            conflict = cara.post(f"/jobs/{own}/priority?priority=low")
            assert (conflict.status_code, conflict.json()["code"]) == (409, "CONFLICT")


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null"])
def test_what_changes_something_is_refused_from_other_origins(page_node: WebNode, origin: str) -> None:
    with page_node.ledger() as ledger:
        job_id = submit(ledger)
    paths = ["jobs/X/cancel", "jobs/X/retry", "jobs/X/priority?priority=high", "machines/one/drain",
             "machines/one/resume", "publications/1/resolve?outcome=missing", "letters/1/resend",
             "jobs/X/files/a.mp4/link"]  # fmt: skip
    for path in paths:
        place = f"{page_node.url}/{path.replace('X', job_id)}"
        reply = httpx.post(place, headers={"Origin": origin}, timeout=FAST_SECONDS)
        assert (reply.status_code, reply.json()["field"]) == (403, "Origin"), path
    with page_node.ledger() as ledger:
        assert job(ledger, job_id).status == "queued"


# --- the node goes and comes --------------------------------------------------------------------------------------


def test_no_event_is_lost_if_the_processes_are_killed(page_node: WebNode, page: Page) -> None:
    with page_node.ledger() as ledger:
        job_id = submit(ledger, owner="lost", priority="high", title="never lost")
        opened(page, page_node, f"?user=lost&job={job_id}")
        expect(page.locator("#job .events li")).to_have_count(1)
        page.evaluate(
            """() => { window.seqs = []; const { take } = videoPipeline.live;
            videoPipeline.live.take = function (event) { window.seqs.push(event.seq); take.call(this, event); }; }"""
        )
        begun = ledger.events.last_seq()
        for number, name in enumerate(("web", "server", "web")):
            process = getattr(page_node, name).pid
            attempt = claim(ledger)
            assert attempt.job_id == job_id
            assert process is not None
            os.kill(process, signal.SIGKILL)
            ledger.attempts.requeue(job_id, attempt.fence, reason=f"turn {number}")
            wait_until(lambda killed=process: killed not in (page_node.web.pid, page_node.server.pid))
            page_node.wait_until_ready()
            expect(page.locator("#connection")).to_have_text("live")
        ledger.jobs.request_cancel(job_id)
        last = ledger.events.last_seq()
        wait_in_page(page, f"videoPipeline.live.last >= {last}")
        assert page.evaluate("window.seqs") == list(range(begun + 1, last + 1))
        expect(page.locator("#job .state").first).to_have_text("cancelled")
        expect(page.locator("#job .events li")).to_have_count(8)
