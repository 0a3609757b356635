// Publications, and what became of unknown ones; notifications that could not be delivered.

import { get, post } from "./api.js";
import { ask } from "./ask.js";
import { act, button, complain, el, foreign, say, when } from "./dom.js";
import { go, hrefOf, place } from "./place.js";

const REFRESH_MS = 5000;
const STATES = ["scheduled", "prepared", "saved", "committed", "confirmed", "unknown", "held", "failed", "cancelled"];

function table(label, names) {
  const body = el("tbody", { role: "rowgroup" });
  const element = el("table", { role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, names.map((name) => el("th", { role: "columnheader", scope: "col" }, name)))), body);
  return { element, body };
}

const cell = (...content) => el("td", { role: "cell" }, content);

// A list that is read again now and then; unchanged rows stay as they are, so that focus stays too.
class Rows {
  constructor() {
    this.marks = "";
    setInterval(() => {
      if (this.element.isConnected && !document.hidden && !document.querySelector("dialog[open]")) this.load().catch(complain);
    }, REFRESH_MS);
  }

  take() {}

  show(items, row) {
    const marks = JSON.stringify(items);
    this.empty.hidden = items.length > 0;
    if (marks === this.marks) return;
    this.marks = marks;
    this.body.replaceChildren(...items.map(row));
  }
}

export class PublicationList extends Rows {
  constructor() {
    super();
    const made = table("Publications, the latest first", ["Number", "State", "Account", "Title", "Where, or why not", "Actions"]);
    this.body = made.body;
    this.empty = el("p", { class: "empty", hidden: true }, "No publications.");
    this.state = el("select", { id: "filter-state", onchange: () => go({ state: this.state.value, before: "" }) },
      el("option", { value: "" }, "all"), STATES.map((name) => el("option", { value: name }, name)));
    this.first = el("a", {}, "Latest");
    this.older = el("a", { rel: "next" }, "Older");
    this.element = el("section", { "aria-label": "Publications" },
      el("div", { class: "filters" }, el("div", {}, el("label", { for: "filter-state" }, "State"), this.state)),
      made.element, this.empty, el("nav", { class: "pages", "aria-label": "Pages" }, this.first, this.older));
  }

  async load() {
    const { state, before } = place();
    this.state.value = state;
    const page = await get("/publications", { state, limit: 100, before: /^\d+$/.test(before) ? before : "" });
    this.show(page.publications, (each) => this.row(each));
    for (const [link, to] of [[this.first, before && ""], [this.older, page.before]]) {
      if (to === null || (link === this.first && !before)) link.removeAttribute("href");
      else link.setAttribute("href", hrefOf({ before: String(to) }));
    }
  }

  row(each) {
    const state = el("span", { class: "state", "data-state": each.state }, each.state);
    return el("tr", { role: "row", "data-number": each.number }, cell(String(each.number)), cell(state),
      cell(foreign(`${each.platform}/${each.account}`)), cell(foreign(each.title), each.job_id && el("small", {}, el("a", { href: hrefOf({ view: "jobs", job: each.job_id, before: "", state: "" }) }, each.job_id))),
      cell(each.url ? foreign(each.url) : "", each.error ? foreign(each.error) : ""),
      cell(each.state === "unknown" ? button("Resolve…", act(() => this.resolve(each)), { "aria-label": `Resolve publication ${each.number}` }) : ""));
  }

  async resolve(each) {
    const found = el("input", { type: "radio", name: "outcome", value: "found", id: "outcome-found", required: true });
    const missing = el("input", { type: "radio", name: "outcome", value: "missing", id: "outcome-missing", required: true });
    const post_id = el("input", { id: "post-id", maxlength: 2000, autocomplete: "off" });
    const url = el("input", { id: "post-url", maxlength: 2000, autocomplete: "off" });
    const fault = el("p", { role: "alert" });
    const follow = () => {
      post_id.disabled = url.disabled = !found.checked;
      post_id.required = found.checked;
    };
    found.addEventListener("change", follow);
    missing.addEventListener("change", follow);
    follow();
    const sure = await ask({
      title: `What became of publication ${each.number}?`,
      body: [
        el("p", {}, "Look on ", foreign(`${each.platform}/${each.account}`), " for: ", foreign(each.title)),
        el("label", { class: "check", for: "outcome-found" }, found, " The post is there"),
        el("label", { for: "post-id" }, "Its id"), post_id, el("label", { for: "post-url" }, "Its address (optional)"), url,
        el("label", { class: "check", for: "outcome-missing" }, missing, " It is not there: publish it again"), fault,
      ],
      yes: "Resolve",
      check: () => {
        fault.textContent = found.checked && !post_id.value.trim() ? "The id of the post is missing." : "";
        return fault.textContent;
      },
    });
    if (!sure) return;
    const outcome = found.checked ? "found" : "missing";
    const done = await post(`/publications/${each.number}/resolve`, found.checked ? { outcome, post_id: post_id.value.trim(), url: url.value.trim() } : { outcome });
    say(`publication ${done.number}: ${done.state}`);
    await this.load();
  }
}

export class LetterList extends Rows {
  constructor() {
    super();
    const made = table("Notifications that could not be delivered, the latest first", ["Number", "To", "Type", "About", "Attempts", "Since", "Error", "Actions"]);
    this.body = made.body;
    this.empty = el("p", { class: "empty", hidden: true }, "No dead letters.");
    this.element = el("section", { "aria-label": "Dead letters" }, made.element, this.empty);
  }

  async load() {
    try {
      this.show((await get("/letters", { limit: 100 })).letters, (each) => this.row(each));
    } catch (error) {
      if (error.status !== 403) throw error;
      this.show([], () => null);
      this.empty.textContent = "Dead letters are for operators.";
    }
  }

  row(each) {
    return el("tr", { role: "row", "data-number": each.number }, cell(String(each.number)), cell(foreign(each.target)), cell(foreign(each.type)), cell(foreign(each.subject)),
      cell(String(each.attempts)), cell(when(each.updated_at)), cell(foreign(each.error ?? "")),
      cell(button("Send again", act(async () => {
        const sent = await post(`/letters/${each.number}/resend`);
        say(`notification ${sent.number} is sent again`);
        await this.load();
      }), { "aria-label": `Send notification ${each.number} again` })));
  }
}
