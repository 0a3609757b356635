"""The page can be used by everybody: contrast, names, widths, themes, the keyboard."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, Page, expect

from tests.support.browser import CONTRAST, NAMELESS, needs_chromium, page_of
from tests.support.ledgers import submit
from tests.support.page_setup import failed_job, machine, opened, unknown_publication
from tests.support.paths import ROOT
from tests.support.web import WebNode
from video_pipeline.engine.jobs.machines import write_machines

pytestmark = needs_chromium

VIEWS = ("", "?job=JOB", "?view=machines", "?view=publications", "?view=letters")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_contrast_names_and_width_are_right(
    page_node: WebNode, browser: Browser, scheme: str, width: int
) -> None:
    job_id = failed_job(page_node, title="for all eyes")
    states = ("ready", "draining", "not ready", "gone")
    write_machines(
        page_node.folders.machines,
        [machine(f"m{n}", state=state, reasons=("slow",)) for n, state in enumerate(states)],
    )
    unknown_publication(page_node, f"seen {scheme} {width}")
    with page_of(browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        for view in VIEWS:
            opened(page, page_node, view.replace("JOB", job_id))
            page.wait_for_timeout(300)
            poor = [each for each in page.evaluate(CONTRAST) if each["ratio"] < each["least"]]
            assert poor == [], f"{view} {json.dumps(poor, indent=1)}"
            assert page.evaluate(NAMELESS) == [], view
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        page.keyboard.press("?")
        expect(page.locator("#help")).to_be_visible()
        assert [each for each in page.evaluate(CONTRAST) if each["ratio"] < each["least"]] == []


def test_the_theme_is_switched_and_kept(page_node: WebNode, page: Page) -> None:
    opened(page, page_node)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    page.click("#theme")
    expect(page.locator("#theme")).to_have_text("Theme: dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_the_keyboard_reaches_everything_and_is_not_trapped(page_node: WebNode, page: Page) -> None:
    with page_node.ledger() as ledger:
        ids = [submit(ledger, owner="keys", title=f"key story {number}") for number in range(3)]
    opened(page, page_node, "?user=keys")
    expect(page.locator("tbody tr")).to_have_count(3)
    page.locator("body").press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.locator("body").press("j")
    page.locator("body").press("j")
    assert page.evaluate("document.activeElement.closest('tr').dataset.job") == ids[1]
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#job-title")).to_have_text("key story 1")
    page.keyboard.press("Escape")
    expect(page.locator("#job")).to_be_hidden()
    assert page.evaluate("document.activeElement.closest('tr').dataset.job") == ids[1]
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, input, select')].filter((e) => e.checkVisibility()).length"
    )
    page.evaluate("document.activeElement.blur(); window.seen = new Set()")
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        page.evaluate("window.seen.add(document.activeElement)")
    seen = page.evaluate("[...window.seen].filter((e) => e.matches('a, button, input, select')).length")
    assert seen == wanted
    page.keyboard.press("?")
    assert page.locator("#help-keys dt").count() == 15
    page.uncheck("#keys-on")
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    assert "machines" not in page.url
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_hidden()


def test_the_document_lists_the_keys_of_the_page(page_node: WebNode, page: Page) -> None:
    opened(page, page_node)
    page.keyboard.press("?")
    listed = page.locator("#help-keys kbd").all_text_contents()
    text = (ROOT / "docs/page.md").read_text(encoding="utf-8").partition("## Keys")[2]
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert [key for row in rows for key in re.findall(r"`([^`]+)`", row.split("|")[1])] == listed
