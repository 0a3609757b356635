// One job: progress, stages, events, log, warnings, picture, video, manifest.

import { get, jobPath, post, send } from "./api.js";
import { act, button, bytes, complain, el, foreign, number, pairs, put, say, set, when } from "./dom.js";
import { actions, advanced, change, progressWords, stateOf } from "./jobs.js";
import { go, hrefOf } from "./place.js";

const EVENTS_SHOWN = 200;
const LOG_MS = 2000;
const SAY_MS = 5000;
const MANIFEST_MAX = 4e6;

export class JobDetail {
  constructor(onClosed) {
    this.id = "";
    this.job = null;
    this.events = new Map();   // by number
    this.stages = new Map();
    this.saidAt = 0;
    this.onClosed = onClosed;
    this.element = el("section", { id: "job", "aria-label": "Job", hidden: true });
    document.addEventListener("job-changed", ({ detail }) => {
      if (detail.job_id === this.id) this.refresh().catch(complain);
    });
  }

  close() {
    this.id = "";
    this.controller?.abort();
    clearInterval(this.logTimer);
    this.element.hidden = true;
    this.element.replaceChildren();
  }

  async open(id, { focus }) {
    if (id === this.id) return;
    this.close();
    this.id = id;
    this.controller = new AbortController();
    Object.assign(this, { job: null, events: new Map(), stages: new Map(), filesOf: "" });
    this.build();
    this.element.hidden = false;
    if (focus) this.title.focus({ preventScroll: true });
    if (focus && matchMedia("(max-width: 74.99rem)").matches) this.element.scrollIntoView({ block: "start" });
    try {
      await this.refresh();
      await this.readEvents();
    } catch (error) {
      if (this.id !== id) return;
      put(this.title, error.status === 404 || error.status === 400 ? "There is no such job" : "The job cannot be shown");
      complain(error);
      return;
    }
    this.readLog();
    this.logTimer = setInterval(() => {
      if (this.job?.status === "processing" && !document.hidden) this.readLog();
    }, LOG_MS);
  }

  build() {
    this.title = el("h2", { id: "job-title", tabindex: -1 }, "…");
    this.state = el("span", { class: "state" });
    this.bar = el("progress", { max: 100, "aria-label": "Progress of this job" });
    this.words = el("span", { class: "words" });
    this.facts = el("div", { class: "part" });
    this.fault = el("p", { class: "warning", hidden: true });
    this.warnings = part("Warnings");
    this.media = part("Video");
    this.stageList = part("Stages");
    this.publications = part("Publications");
    this.files = part("Files");
    this.manifest = part("Manifest");
    this.log = part("Log");
    this.eventList = part("Events");
    this.priority = el("select", { id: "job-priority", onchange: act(() => change("priority", this.job, { priority: this.priority.value })) },
      ["high", "normal", "low"].map((name) => el("option", { value: name }, name)));
    this.priorityBox = el("span", { class: "priority" }, el("label", { for: "job-priority" }, "Priority"), this.priority);
    this.controls = {
      cancel: button("Cancel job", act(() => change("cancel", this.job)), { id: "job-cancel" }),
      retry: button("Retry job", act(() => change("retry", this.job)), { id: "job-retry" }),
    };
    this.element.replaceChildren(
      el("div", { class: "bar" }, this.title, el("a", { class: "close", href: hrefOf({ job: "" }) }, "Close")),
      el("p", { class: "progress" }, this.state, this.bar, this.words),
      this.fault,
      el("div", { class: "buttons" }, this.controls.cancel, this.controls.retry, this.priorityBox),
      this.warnings, this.media, this.facts, this.stageList, this.publications, this.files, this.manifest, this.log, this.eventList);
  }

  async refresh() {
    const { id } = this;
    const job = await get(jobPath(id), {}, this.controller.signal);
    if (id !== this.id) return;
    this.show(job);
    this.showRest();
    if (job.status === "completed" && this.filesOf !== `${job.attempts} ${job.finished_at}`) {
      this.filesOf = `${job.attempts} ${job.finished_at}`;
      await this.readFiles();
    } else if (job.status !== "completed" && this.filesOf) {
      this.filesOf = "";
      for (const each of [this.media, this.files, this.manifest]) fill(each, []);
    }
  }

  show(job) {
    this.job = job;
    this.title.replaceChildren(foreign(job.title ?? job.story_id));
    const state = stateOf(job);
    put(this.state, state);
    this.state.dataset.state = state;
    put(this.words, progressWords(job));
    this.bar.hidden = job.status !== "processing";
    if (job.percent !== null && job.percent !== undefined) this.bar.value = job.percent;
    else this.bar.removeAttribute("value");
    for (const [verb, control] of Object.entries(this.controls)) control.hidden = !actions[verb](job);
    this.priorityBox.hidden = !actions.priority(job);
    this.priority.value = job.priority;
  }

  showRest() {
    const { job } = this;
    const info = job.result?.video_info ?? {};
    this.facts.replaceChildren(pairs([
      ["Job", el("code", {}, job.job_id)], ["Story", foreign(job.story_id)], ["User", job.user && foreign(job.user)],
      ["Key", job.key && foreign(job.key)], ["Priority", job.priority], ["Attempts", `${job.attempts} of ${job.max_attempts}`],
      ["Submitted", when(job.created_at)], ["Scheduled for", job.scheduled_for && when(job.scheduled_for)],
      ["Started", job.started_at && when(job.started_at)], ["Ended", job.finished_at && when(job.finished_at)],
      ["Length", info.duration && `${number(info.duration, 2)} s`], ["Size", info.file_size && bytes(info.file_size)],
      ["Encoder", job.result?.encoder && foreign(job.result.encoder)],
    ]));
    this.fault.hidden = !job.error_type;
    this.fault.replaceChildren(...(job.error_type ? [el("b", {}, job.error_type), ": ", foreign(job.error_message)] : []));
    const warnings = job.result?.warnings ?? [];
    fill(this.warnings, warnings.length ? [el("ul", {}, warnings.map((text) => el("li", {}, foreign(text))))] : []);
    fill(this.publications, job.publications.length ? [el("ul", {}, job.publications.map((each) => el("li", {},
      foreign(`${each.platform}/${each.account}`), `: ${each.state} `, each.url ? foreign(each.url) : "", each.error ? foreign(each.error) : "")))] : []);
    this.showStages();
  }

  async readEvents() {
    const { id } = this;
    const page = await get(jobPath(id, "events"), { limit: 1000 }, this.controller.signal);
    if (id !== this.id) return;
    for (const event of page.events) this.events.set(event.seq, event);
    this.stages.clear();
    for (const event of this.inOrder()) this.note(event);
    this.showEvents();
    this.showStages();
  }

  inOrder() {
    return [...this.events.values()].sort((one, other) => one.seq - other.seq);
  }

  note(event) {
    if (event.kind === "processing") this.stages.clear();
    const { stage } = event.details;
    if (event.kind !== "progress" || !stage) return;
    const at = new Date(event.at);
    const known = this.stages.get(stage) ?? { from: at };
    this.stages.set(stage, { ...known, to: at });
  }

  take(events) {
    const mine = events.filter((event) => event.job_id === this.id);
    if (!mine.length || !this.job) return;
    let job = this.job;
    for (const event of mine) {
      this.events.set(event.seq, event);
      this.note(event);
      job = advanced(job, event);
    }
    this.show(job);
    this.showStages();
    if (mine.some((event) => event.kind !== "progress")) {
      say(`${this.job.title ?? this.id}: ${stateOf(job)}`);
      this.showEvents();
      this.refresh().catch(complain);
      this.readLog();
    } else if (Date.now() - this.saidAt > SAY_MS) {
      this.saidAt = Date.now();
      say(progressWords(job));
    }
  }

  showStages() {
    const timings = this.job?.result?.timings;
    const rows = timings
      ? Object.entries(timings).filter(([, value]) => typeof value === "number").map(([name, value]) => [foreign(name), `${number(value, 2)} s`])
      : [...this.stages].map(([name, { from, to }]) => [foreign(name), `${number((to - from) / 1000, 1)} s`]);
    fill(this.stageList, rows.length ? [pairs(rows)] : []);
  }

  showEvents() {
    const shown = this.inOrder().filter((event) => event.kind !== "progress").slice(-EVENTS_SHOWN).reverse();
    fill(this.eventList, shown.length ? [el("ol", { class: "events", reversed: true }, shown.map((event) => el("li", { "data-seq": event.seq },
      when(event.at), ` ${event.kind}`, event.attempt ? `, attempt ${event.attempt}` : "",
      event.details.error_type ? [": ", foreign(event.details.error_type)] : "",
      event.details.retry_in ? `, again in ${number(event.details.retry_in, 1)} s` : "")))] : []);
  }

  async readLog() {
    const { id } = this;
    try {
      const reply = await get(jobPath(id, "log"), { lines: 200 }, this.controller.signal);
      if (id !== this.id) return;
      if (!reply.lines.length) return fill(this.log, []);
      const text = el("pre", { tabindex: 0, "aria-label": "The last lines of the log" }, reply.lines.join("\n"));
      fill(this.log, [text]);
      text.scrollTop = text.scrollHeight;
    } catch (error) {
      if (error.status === 403) fill(this.log, []);  // it is for operators
      else complain(error);
    }
    return undefined;
  }

  async link(file) {
    return (await post(jobPath(this.id, "files", file.name, "link"))).url;
  }

  async readFiles() {
    const { id } = this;
    const { files } = await get(jobPath(id, "files"), {}, this.controller.signal);
    const of = (role) => files.find((file) => file.role === role);
    const [video, picture, captions, manifest] = ["video", "thumbnail", "vtt", "manifest"].map(of);
    const links = new Map(await Promise.all([video, picture, captions].filter(Boolean).map(async (file) => [file.role, await this.link(file)])));
    if (id !== this.id) return;
    const title = this.job.title ?? this.job.story_id;
    const player = video && el("video", { controls: true, preload: "metadata", playsinline: true, src: links.get("video"), "aria-label": `Video of ${title.slice(0, 80)}` },
      captions && el("track", { kind: "captions", label: "Captions", src: links.get("vtt") }));
    // A link ends after an hour, or when the server is restarted: a new one goes on at the same place.
    player?.addEventListener("error", act(async () => {
      if (player.dataset.again) return;
      player.dataset.again = "1";
      const at = player.currentTime;
      player.src = await this.link(video);
      player.addEventListener("loadedmetadata", () => { player.currentTime = at; delete player.dataset.again; }, { once: true });
    }));
    const thumbnail = picture && el("img", { src: links.get("thumbnail"), alt: `Thumbnail of ${title.slice(0, 80)}` });
    fill(this.media, player || thumbnail ? [el("div", { class: "media" }, player, thumbnail)] : []);
    fill(this.files, [el("ul", { class: "files" }, files.map((file) => el("li", {},
      button(file.name, act(async () => {
        const save = el("a", { href: await this.link(file), download: file.name });
        save.click();
      }), { "aria-label": `Save ${file.name}` }), ` ${file.role}, ${bytes(file.size)}`)))]);
    if (manifest && manifest.size <= MANIFEST_MAX) await this.readManifest(manifest);
  }

  async readManifest(file) {
    const { id } = this;
    const response = await send("GET", jobPath(id, "files", file.name), { signal: this.controller.signal });
    const text = await response.text();
    if (id !== this.id) return;
    fill(this.manifest, [el("details", {}, el("summary", {}, "Show it"),
      el("pre", { tabindex: 0, "aria-label": "Manifest" }, JSON.stringify(JSON.parse(text), null, 2)))]);
  }
}

function part(title) {
  return el("section", { class: "part", hidden: true, "aria-label": title }, el("h3", {}, title), el("div"));
}

function fill(section, content) {
  section.hidden = content.length === 0;
  section.lastChild.replaceChildren(...content);
}
