// The machines that render: slots, jobs, GPUs, disks, cache.

import { get, machinePath, post } from "./api.js";
import { ask } from "./ask.js";
import { act, button, bytes, complain, el, foreign, number, pairs, put, say, when } from "./dom.js";
import { hrefOf } from "./place.js";

const REFRESH_MS = 2000;

export class MachineList {
  constructor() {
    this.cards = new Map();
    this.grid = el("ul", { class: "cards" });
    this.total = el("p", { class: "total" });
    this.empty = el("p", { class: "empty", hidden: true }, "No machine has reported yet.");
    this.element = el("section", { "aria-label": "Machines" }, this.total, this.grid, this.empty);
    setInterval(() => {
      if (this.element.isConnected && !document.hidden) this.load().catch(complain);
    }, REFRESH_MS);
  }

  take() {}

  async load() {
    const { machines } = await get("/machines");
    const sum = (of) => machines.reduce((total, machine) => total + of(machine), 0);
    put(this.total, `${machines.length} ${machines.length === 1 ? "machine" : "machines"}, `
      + `${sum((each) => each.running)} of ${sum((each) => each.slots)} slots rendering, ${sum((each) => each.gpus.length)} GPUs`);
    this.empty.hidden = machines.length > 0;
    const names = new Set(machines.map((machine) => machine.name));
    for (const [name, card] of this.cards) {
      if (!names.has(name)) {
        card.element.remove();
        this.cards.delete(name);
      }
    }
    for (const machine of machines) this.show(machine);
  }

  show(machine) {
    let card = this.cards.get(machine.name);
    if (!card) {
      card = { state: el("span", { class: "state" }), body: el("div") };
      card.drain = button("Drain", act(() => this.drain(machine.name)), { "aria-label": `Drain ${machine.name}` });
      card.resume = button("Let it work", act(() => this.resume(machine.name)), { "aria-label": `Let ${machine.name} work` });
      card.element = el("li", { class: "card", "data-machine": machine.name }, el("h2", {}, foreign(machine.name)), card.state,
        card.body, el("div", { class: "buttons" }, card.drain, card.resume));
      this.cards.set(machine.name, card);
      this.grid.append(card.element);
    }
    put(card.state, machine.state);
    card.state.dataset.state = machine.state;
    card.drain.hidden = machine.state === "draining" || machine.state === "gone";
    card.resume.hidden = machine.state !== "draining";
    const { cache } = machine;
    const rate = cache && cache.segments ? `, ${number((100 * cache.segments_from_cache) / cache.segments)} % of ${number(cache.segments)} segments from it` : "";
    const rows = [
      ["Slots", el("span", { class: "measured" }, el("meter", { min: 0, max: Math.max(1, machine.slots), value: machine.running, "aria-label": "Slots that render" }),
        el("span", {}, `${machine.running} of ${machine.slots} render, ${machine.warm} warm`))],
      ...machine.gpus.map((gpu) => ["GPU", foreign(`${gpu.name}, ${number(gpu.memory_mib)} MiB, driver ${gpu.driver}`)]),
      ["NVENC", machine.nvenc_sessions && `${machine.nvenc_sessions} sessions`],
      ["Cores", `${machine.cores}, ${bytes(machine.memory_bytes)} of memory`],
      ...machine.disks.map((disk) => [`Disk: ${disk.folder}`, el("span", { class: "measured" }, el("meter", {
        min: 0, max: Math.max(1, disk.total_bytes), value: disk.total_bytes - disk.free_bytes, high: 0.9 * disk.total_bytes, "aria-label": `Disk of ${disk.folder} in use`,
      }), el("span", {}, `${bytes(disk.free_bytes)} of ${bytes(disk.total_bytes)} free`))]),
      ["Cache", cache && `${bytes(cache.bytes)} in ${number(cache.files)} files${rate}`],
      ["Version", foreign(machine.version)],
      ["Started", when(machine.started_at)],
      ["Renders", machine.jobs.length ? el("ul", {}, machine.jobs.map((id) => el("li", {}, el("a", { href: hrefOf({ view: "jobs", job: id }) }, id)))) : null],
    ];
    const mark = JSON.stringify({ ...machine, seen_at: "" });
    if (card.mark === mark) return;
    card.mark = mark;
    const focused = card.body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    card.body.replaceChildren(...machine.reasons.map((text) => el("p", { class: "warning" }, foreign(text))), pairs(rows));
    if (focused) [...card.body.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus();
  }

  async drain(name) {
    const sure = await ask({
      title: `Drain ${name}?`,
      body: [el("p", {}, "It finishes the jobs that it renders, and starts and accepts no others until you let it work again or it is restarted.")],
      yes: "Drain",
    });
    if (sure) await this.change(name, "drain");
  }

  resume(name) {
    return this.change(name, "resume");
  }

  async change(name, action) {
    const { machines } = await post(machinePath(name, action));
    for (const machine of machines) this.show(machine);
    const found = machines.find((machine) => machine.name === name);
    say(`${name}: ${found?.state ?? "changed"}`);
  }
}
