// The page of a render node: puts the views together and keeps them up to date.

import { forgetToken, hasToken } from "./api.js";
import { act, complain, el, foreign } from "./dom.js";
import { JobDetail } from "./job.js";
import { actions, change, JobList } from "./jobs.js";
import { openHelp, useKeys } from "./keys.js";
import { Live } from "./live.js";
import { MachineList } from "./machines.js";
import { go, place, VIEWS } from "./place.js";
import { LetterList, PublicationList } from "./publications.js";
import { nextTheme } from "./theme.js";

const main = document.getElementById("main");
const signOut = document.getElementById("sign-out");
const views = { jobs: new JobList(), machines: new MachineList(), publications: new PublicationList(), letters: new LetterList() };
const detail = new JobDetail();
let shown = "";

function follow() {
  const at = place();
  for (const name of VIEWS) {
    const link = document.getElementById(`view-${name}`);
    if (name === at.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const view = views[at.view];
  const shownBefore = shown !== "";   // the first view takes no focus
  if (shown !== at.view) main.replaceChildren(view.element, ...(at.view === "jobs" ? [detail.element] : []));
  const filters = JSON.stringify([at.view, at.status, at.user, at.before, at.state]);
  if (filters !== follow.filters) view.load().catch(complain);
  follow.filters = filters;
  shown = at.view;
  const isOpen = at.view === "jobs" && at.job !== "";
  main.dataset.open = isOpen;
  if (isOpen) detail.open(at.job, { focus: shownBefore });
  else if (detail.id) closeDetail();
  views.jobs.highlight();
}

function closeDetail() {
  const { id } = detail;
  detail.close();
  views.jobs.rows.get(id)?.link.focus();
}

const live = new Live({
  onEvents: (events) => {
    views[place().view].take(events);
    detail.take(events);
  },
  onStart: async (pong) => {
    document.getElementById("who").replaceChildren(foreign(pong.user), ` on ${pong.node} ${pong.version}`);
    signOut.hidden = !hasToken();
    await views[place().view].load();
    if (detail.job) await Promise.all([detail.refresh(), detail.readEvents()]).catch(complain);
  },
});

signOut.addEventListener("click", () => {
  forgetToken();
  location.reload();
});
document.addEventListener("token-changed", () => { signOut.hidden = false; });
document.addEventListener("place-changed", follow);

const picked = () => (detail.id ? detail.job : views.jobs.focused());
const doing = (verb, query = {}) => act(async () => {
  const job = place().view === "jobs" ? picked() : null;
  if (job && actions[verb](job)) await change(verb, job, query);
});
const LEVELS = ["low", "normal", "high"];
const shift = (step) => act(async () => {
  const job = place().view === "jobs" ? picked() : null;
  const level = job && LEVELS[LEVELS.indexOf(job.priority) + step];
  if (level && actions.priority(job)) await change("priority", job, { priority: level });
});
const inJobs = (action) => () => { if (place().view === "jobs") action(); };

useKeys([
  ["1", "jobs", () => go({ view: "jobs", before: "" })],
  ["2", "machines", () => go({ view: "machines", before: "" })],
  ["3", "publications", () => go({ view: "publications", before: "" })],
  ["4", "dead letters", () => go({ view: "letters", before: "" })],
  ["j", "next job of the list (Enter opens it)", inJobs(() => views.jobs.move(1))],
  ["k", "previous job", inJobs(() => views.jobs.move(-1))],
  ["Escape", "close the open job", inJobs(() => go({ job: "" }))],
  ["/", "open a job by its id", inJobs(() => views.jobs.id.focus())],
  ["c", "cancel the open job, or the one that has the focus", doing("cancel")],
  ["t", "retry it", doing("retry")],
  ["+", "raise its priority", shift(1)],
  ["-", "lower its priority", shift(-1)],
  ["r", "read the view again", act(() => views[place().view].load())],
  ["d", "theme: system, light, dark", nextTheme],
  ["?", "show the keys", openHelp],
]);

globalThis.videoPipeline = { live };  // for tests and the console
follow();
live.run();
