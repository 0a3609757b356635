// The list of jobs: a page of it at a time, so that a long queue costs no more than a short one.

import { get, jobPath, post } from "./api.js";
import { ask } from "./ask.js";
import { act, button, complain, el, foreign, number, put, say, set, when } from "./dom.js";
import { go, hrefOf, place } from "./place.js";

export const PAGE = 100;
const REFRESH_MS = 1000;
const STATES = ["queued", "scheduled", "processing", "completed", "failed", "cancelled"];
export const stateOf = (job) => {
  if (job.status === "queued" && job.scheduled_for && new Date(job.scheduled_for) > new Date()) return "scheduled";
  return job.status === "processing" && job.cancel_requested ? "cancelling" : job.status;
};

// What a job becomes by an event.
export function advanced(job, event) {
  const next = { ...job, status: event.status };
  const { details } = event;
  if (event.kind === "progress") {
    Object.assign(next, { stage: details.stage, percent: details.percent, fps: details.fps, eta_seconds: details.eta_seconds });
  } else {
    next.attempts = Math.max(job.attempts, event.attempt);
    if (event.kind === "cancelling") next.cancel_requested = true;
    if (event.kind === "priority") next.priority = details.priority;
    if (["queued", "processing"].includes(event.kind)) Object.assign(next, { percent: null, stage: null, eta_seconds: null });
    if (event.kind === "queued") next.cancel_requested = false;
    if (details.error_type) Object.assign(next, { error_type: details.error_type, error_message: details.error_message });
  }
  return next;
}

export function progressWords(job) {
  if (job.status === "processing" && job.percent !== null && job.percent !== undefined) {
    const left = job.eta_seconds ? `, ${number(job.eta_seconds)} s left` : "";
    return `${job.stage ?? ""} ${number(job.percent)} %${left}`.trim();
  }
  return job.status === "queued" && job.stage ? job.stage : "";
}

export const actions = {
  cancel: (job) => ["queued", "processing"].includes(job.status) && !job.cancel_requested,
  retry: (job) => ["failed", "cancelled"].includes(job.status),
  priority: (job) => job.status === "queued",
};

export async function change(verb, job, query = {}) {
  const changed = await post(jobPath(job.job_id, verb), query);
  say(`${changed.title ?? changed.job_id}: ${verb === "priority" ? `priority ${changed.priority}` : stateOf(changed)}`);
  document.dispatchEvent(new CustomEvent("job-changed", { detail: changed }));
  return changed;
}

export class JobList {
  constructor() {
    this.jobs = new Map();
    this.rows = new Map();
    this.next = null;
    this.stats = null;
    this.wanted = 0;
    this.timer = 0;
    this.statsTimer = 0;
    this.build();
    document.addEventListener("job-changed", ({ detail }) => {
      if (this.jobs.has(detail.job_id)) this.show(detail);
      this.countSoon();
    });
  }

  build() {
    this.counts = el("ul", { class: "counts", "aria-label": "Jobs by state" });
    this.status = el("select", { id: "filter-status", onchange: () => go({ status: this.status.value, before: "" }) },
      el("option", { value: "" }, "all"), STATES.map((name) => el("option", { value: name }, name)));
    this.user = el("input", { id: "filter-user", type: "search", maxlength: 128, autocomplete: "off", spellcheck: "false" });
    this.id = el("input", { id: "filter-job", type: "search", placeholder: "job-…", maxlength: 28, autocomplete: "off", spellcheck: "false" });
    const filters = el("form", { class: "filters", role: "search", onsubmit: (event) => this.search(event) },
      el("div", {}, el("label", { for: "filter-status" }, "State"), this.status),
      el("div", {}, el("label", { for: "filter-user" }, "User"), this.user),
      el("div", {}, el("label", { for: "filter-job" }, "Open job"), this.id),
      el("button", { type: "submit" }, "Apply"),
      button("Retry all failed", act(() => this.retryAll()), { id: "retry-all" }));
    const names = ["Title", "State", "Progress", "Priority", "User", "Submitted", "Actions"];
    this.body = el("tbody", { role: "rowgroup" });
    this.table = el("table", { role: "table", "aria-label": "Jobs, the latest first" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, names.map((name) => el("th", { role: "columnheader", scope: "col" }, name)))),
      this.body);
    this.empty = el("p", { class: "empty", hidden: true }, "No jobs.");
    this.first = el("a", { id: "page-first" }, "Latest");
    this.older = el("a", { id: "page-older", rel: "next" }, "Older");
    this.element = el("section", { "aria-label": "Jobs" }, this.counts, filters, this.table, this.empty,
      el("nav", { class: "pages", "aria-label": "Pages" }, this.first, this.older));
  }

  search(event) {
    event.preventDefault();
    const id = this.id.value.trim();
    if (id) go({ job: id });
    else if (this.user.value.trim() !== place().user) go({ user: this.user.value.trim(), before: "" });
  }

  async load() {
    const at = place();
    this.status.value = STATES.includes(at.status) ? at.status : "";
    if (document.activeElement !== this.user) this.user.value = at.user;
    const turn = ++this.wanted;
    const query = { limit: PAGE, status: at.status, user: at.user, before: at.before };
    const page = await get("/jobs", query);
    if (turn !== this.wanted) return;
    this.next = page.before;
    this.jobs = new Map(page.jobs.map((job) => [job.job_id, job]));
    for (const [id, row] of this.rows) {
      if (!this.jobs.has(id)) {
        row.element.remove();
        this.rows.delete(id);
      }
    }
    let before = null;
    for (const job of page.jobs) {
      const { element } = this.show(job);
      const expected = before ? before.nextSibling : this.body.firstChild;
      if (expected !== element) this.body.insertBefore(element, expected);
      before = element;
    }
    this.empty.hidden = page.jobs.length > 0;
    set(this.first, { href: at.before ? hrefOf({ before: "" }) : null });
    set(this.older, { href: this.next ? hrefOf({ before: this.next }) : null });
    this.countSoon();
  }

  soon() {
    this.timer ||= setTimeout(() => {
      this.timer = 0;
      if (this.element.isConnected) this.load().catch(complain);
    }, REFRESH_MS);
  }

  countSoon() {
    this.statsTimer ||= setTimeout(async () => {
      this.statsTimer = 0;
      if (!this.element.isConnected) return;
      try {
        this.showCounts(await get("/stats"));
      } catch (error) {
        complain(error);
      }
    }, this.stats ? REFRESH_MS : 0);
  }

  showCounts(stats) {
    this.stats = stats;
    const entries = [["in the queue", `${number(stats.queued)} of ${number(stats.max_queued)}`, null],
      ["rendering", `${number(stats.running)} of ${number(stats.slots)} slots`, null],
      ...Object.entries(stats.jobs).map(([name, count]) => [name, number(count), name])];
    this.counts.replaceChildren(...entries.map(([name, value, status]) => el("li", {},
      status ? el("a", { href: hrefOf({ status, before: "" }) }, el("b", {}, value), ` ${name}`) : [el("b", {}, value), ` ${name}`])),
      ...(stats.draining ? [el("li", { class: "warning" }, "drained: starts no jobs")] : []));
    document.title = `${number(stats.queued)} queued, ${number(stats.running)} rendering – video-pipeline`;
  }

  take(events) {
    const at = place();
    let reload = false;
    let counts = false;
    for (const event of events) {
      const job = this.jobs.get(event.job_id);
      if (event.kind !== "progress") {
        counts = true;
        if (at.status || (!job && !at.before)) reload = true;
      }
      if (job) this.show(advanced(job, event));
    }
    if (reload) this.soon();
    if (counts) this.countSoon();
  }

  show(job) {
    this.jobs.set(job.job_id, job);
    let row = this.rows.get(job.job_id);
    if (!row) {
      row = this.row(job);
      this.rows.set(job.job_id, row);
    }
    const state = stateOf(job);
    const words = progressWords(job);
    put(row.state, state);
    row.state.dataset.state = state;
    put(row.priority, job.priority);
    put(row.words, words || (job.error_type ?? ""));
    row.bar.hidden = !(job.status === "processing");
    if (job.percent !== null && job.percent !== undefined) row.bar.value = job.percent;
    else row.bar.removeAttribute("value");
    for (const [verb, control] of Object.entries(row.controls)) control.hidden = !actions[verb](job);
    set(row.link, { href: hrefOf({ job: job.job_id }) });
    set(row.element, { "data-open": place().job === job.job_id });
    return row;
  }

  row(job) {
    const title = job.title ?? job.story_id;
    const row = {
      link: el("a", { class: "title" }, foreign(title)),
      state: el("span", { class: "state" }),
      priority: el("span"),
      words: el("span", { class: "words" }),
      bar: el("progress", { max: 100, "aria-label": `Progress of ${title.slice(0, 80)}` }),
    };
    const named = (label) => ({ "aria-label": `${label} ${title.slice(0, 80)}` });
    const current = () => this.jobs.get(job.job_id) ?? job;
    row.controls = {
      cancel: button("Cancel", act(() => change("cancel", current())), named("Cancel")),
      retry: button("Retry", act(() => change("retry", current())), named("Retry")),
    };
    const cell = (...content) => el("td", { role: "cell" }, content);
    row.element = el("tr", { role: "row", "data-job": job.job_id },
      cell(row.link, el("small", {}, foreign(job.job_id))),
      cell(row.state), cell(row.bar, row.words), cell(row.priority), cell(foreign(job.user ?? "")),
      cell(when(job.created_at)), cell(row.controls.cancel, row.controls.retry));
    return row;
  }

  highlight() {
    for (const [id, row] of this.rows) {
      set(row.element, { "data-open": place().job === id });
      set(row.link, { href: hrefOf({ job: id }), "aria-current": place().job === id ? "true" : null });
    }
  }

  move(step) {
    const links = [...this.body.querySelectorAll("a.title")];
    const at = links.indexOf(document.activeElement.closest?.("tr")?.querySelector("a.title"));
    links[Math.max(0, Math.min(links.length - 1, at < 0 ? 0 : at + step))]?.focus();
  }

  focused() {
    const row = document.activeElement.closest?.("tr[data-job]");
    return row ? this.jobs.get(row.dataset.job) : null;
  }

  // Page by page, the latest first; a job that cannot be queued again is left as it is.
  async retryAll() {
    const { user } = place();
    const failed = this.stats?.jobs.failed ?? 0;
    const sure = await ask({
      title: "Retry all failed jobs?",
      body: [el("p", {}, user ? ["Those of ", foreign(user), "."] : `There are ${number(failed)}.`, " Each gets all its attempts again.")],
      yes: "Retry all",
    });
    if (!sure) return;
    let done = 0;
    let refused = 0;
    let before = "";
    do {
      const page = await get("/jobs", { status: "failed", user, limit: PAGE, before });
      for (let start = 0; start < page.jobs.length; start += 8) {
        await Promise.all(page.jobs.slice(start, start + 8).map(async (job) => {
          try {
            await post(jobPath(job.job_id, "retry"));
            done += 1;
          } catch (error) {
            if (![404, 409].includes(error.status)) throw error;
            refused += 1;
          }
        }));
        say(`${number(done)} jobs are queued again`);
      }
      before = page.before;
    } while (before);
    say(`${number(done)} jobs are queued again${refused ? `, ${number(refused)} could not be` : ""}`);
    await this.load();
  }
}
