// The stream of events: after an interruption it goes on after the last event that arrived, so none is missed.

import { get, send } from "./api.js";
import { put } from "./dom.js";

const SILENT_MS = 40000;   // the node sends something every 15 seconds
const WAITS_MS = [300, 500, 1000, 2000, 3000];
const shown = document.getElementById("connection");

export class Live {
  constructor({ onEvents, onStart }) {
    this.onEvents = onEvents;
    this.onStart = onStart;
    this.last = null;      // number of the last event that was shown
    this.count = 0;
    this.failures = 0;
    this.controller = null;
    this.pending = [];
  }

  async run() {
    document.addEventListener("visibilitychange", () => this.wake());
    for (;;) {
      try {
        await this.once();
        this.failures = 0;
      } catch (error) {
        this.failures += 1;
        this.tell(false);
      }
      await this.pause(WAITS_MS[Math.min(this.failures, WAITS_MS.length - 1)]);
    }
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.resume = () => { clearTimeout(timer); resolve(); };
    });
  }

  // A hidden tab keeps no connection: a browser has only six to one server.
  wake() {
    if (document.hidden) this.controller?.abort();
    else this.resume?.();
  }

  restart() {
    this.controller?.abort();
    this.resume?.();
  }

  tell(connected) {
    put(shown, connected ? "live" : "not connected, trying again");
    shown.dataset.state = connected ? "live" : "lost";
  }

  async once() {
    if (document.hidden) return;
    const pong = await get("/ping");
    if (this.last === null || pong.last_event < this.last) this.last = pong.last_event;  // a first, or another, ledger
    await this.onStart(pong);
    this.controller = new AbortController();
    const { signal } = this.controller;
    let timer = setTimeout(() => this.controller.abort(), SILENT_MS);
    try {
      const response = await send("GET", "/events", {
        query: { after: this.last }, headers: { Accept: "text/event-stream" }, signal,
      });
      this.tell(true);
      this.failures = 0;
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        clearTimeout(timer);
        timer = setTimeout(() => this.controller.abort(), SILENT_MS);
        const lines = (rest + value).split("\n");
        rest = lines.pop();
        for (const line of lines) if (line.startsWith("data: ")) this.take(JSON.parse(line.slice(6)));
      }
    } finally {
      clearTimeout(timer);
      this.tell(false);
    }
  }

  take(event) {
    if (event.seq <= this.last) return;
    this.last = event.seq;
    this.count += 1;
    this.pending.push(event);
    if (this.pending.length === 1) {
      requestAnimationFrame(() => {
        const events = this.pending;
        this.pending = [];
        this.onEvents(events);
      });
    }
  }
}
