"""A real browser for tests of the page: Debian's chromium, driven by playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.waiting import FAST_SECONDS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium: apt-get install chromium")
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
)
expect.set_options(timeout=FAST_SECONDS * 1000)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS), chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def page_of(browser: Browser, **options: Any) -> Iterator[Page]:
    """Open a page in a context of its own; fail if its scripts raise an error or break the content policy."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(FAST_SECONDS * 1000)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None,
    )
    try:
        yield page
        assert context.cookies() == []
    finally:
        context.close()
    assert faults == []


def wait_in_page(page: Page, expression: str, *, seconds: float = FAST_SECONDS) -> None:
    """Wait until an expression is true in a page; `wait_for_function` would break the page's content policy."""
    until = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < until, f"not within {seconds:g} s: {expression}"
        page.wait_for_timeout(50)


NAMELESS = """() => {
  const shown = (e) => e.checkVisibility({ checkOpacity: false }) && !e.closest("[aria-hidden=true]");
  const byId = (ids) => (ids ?? "").split(/\\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const name = (e) => (e.getAttribute("aria-label") ?? "") || byId(e.getAttribute("aria-labelledby"))
    || [...(e.labels ?? [])].map((l) => l.textContent).join(" ") || e.getAttribute("alt") || (e.matches("input, select, progress, meter, video") ? "" : e.textContent);
  const wanted = "a, button, input, select, textarea, img, video, progress, meter, dialog, table, nav, pre[tabindex], section";
  const found = [...document.querySelectorAll(wanted)].filter((e) => shown(e) && !name(e).trim()).map((e) => `no name: ${e.outerHTML.slice(0, 120)}`);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  found.push(...ids.filter((id, n) => ids.indexOf(id) !== n).map((id) => `twice: ${id}`));
  for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls"])
    for (const e of document.querySelectorAll(`[${attribute}]`))
      for (const id of e.getAttribute(attribute).split(/\\s+/)) if (!document.getElementById(id)) found.push(`${attribute}: ${id} is missing`);
  found.push(...[...document.querySelectorAll("[tabindex]")].filter((e) => e.tabIndex > 0).map((e) => `tabindex: ${e.outerHTML.slice(0, 80)}`));
  found.push(...[...document.querySelectorAll("th")].filter((e) => !e.scope).map(() => "a header without scope"));
  found.push(...[...document.querySelectorAll("img")].filter((e) => !e.hasAttribute("alt")).map(() => "an image without alt"));
  if (!document.documentElement.lang) found.push("no language");
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  if (!document.title) found.push("no title");
  return found;
}"""
"""Returns what lacks a name or is named twice, among other rules that axe-core has too."""

CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (text) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1); const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = (top, under) => [0, 1, 2].map((n) => top[n] * top[3] + under[n] * (1 - top[3])).concat(1);
  const ground = (e) => { let found = []; for (let at = e; at; at = at.parentElement) { found.push(rgba(getComputedStyle(at).backgroundColor)); if (found.at(-1)[3] === 1) break; }
    return found.reverse().reduce((under, top) => over(top, under), [255, 255, 255, 1]); };
  const light = ([r, g, b]) => { const [x, y, z] = [r, g, b].map((v) => { v /= 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * x + 0.7152 * y + 0.0722 * z; };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((m, n) => n - m); return (x + 0.05) / (y + 0.05); };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || e.closest(".unseen, .skip, option") || e.matches(":disabled")) continue;
    const style = getComputedStyle(e);
    const under = ground(e);
    if ([...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) || e.matches("input, select")) {
      const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
      found.push({ what: `${e.tagName} ${e.className} ${e.textContent.slice(0, 30)}`, ratio: ratio(over(rgba(style.color), under), under), least: large ? 3 : 4.5 });
    }
    if (e.matches("button, input, select")) found.push({ what: `border of ${e.id || e.textContent}`, ratio: ratio(over(rgba(style.borderTopColor), under), ground(e.parentElement)), least: 3 });
  }
  return found;
}"""
"""Returns the contrast (WCAG 2.2, 1.4.3 and 1.4.11) of each visible text and of the borders of controls."""
