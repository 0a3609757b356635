// What is shown is in the URL: the view, its filters, and the open job.

const KNOWN = ["view", "status", "user", "before", "state", "job"];
export const VIEWS = ["jobs", "machines", "publications", "letters"];

export function place() {
  const given = new URLSearchParams(location.search);
  const found = Object.fromEntries(KNOWN.map((name) => [name, given.get(name) ?? ""]));
  if (!VIEWS.includes(found.view)) found.view = "jobs";
  return found;
}

export function hrefOf(changes) {
  const next = { ...place(), ...changes };
  const given = KNOWN.filter((name) => next[name] && !(name === "view" && next.view === "jobs"))
    .map((name) => [name, next[name]]);
  return given.length ? `?${new URLSearchParams(given)}` : "?";
}

export function go(changes, { replace = false } = {}) {
  const href = hrefOf(changes);
  if (href === location.search || (href === "?" && !location.search)) return;
  history[replace ? "replaceState" : "pushState"](null, "", href === "?" ? location.pathname : href);
  document.dispatchEvent(new Event("place-changed"));
}

window.addEventListener("popstate", () => document.dispatchEvent(new Event("place-changed")));
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='?']");
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const found = Object.fromEntries(KNOWN.map((name) => [name, new URLSearchParams(link.search).get(name) ?? ""]));
  go(found);
});
