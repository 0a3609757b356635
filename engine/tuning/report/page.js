"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Tabs: without this script every panel is shown.
  for (const box of all(".panels")) {
    const buttons = all(".tabs button", box), panels = all(".panel", box);
    const show = (chosen) => {
      buttons.forEach((button, at) => button.setAttribute("aria-selected", String(at === chosen)));
      panels.forEach((panel, at) => { panel.hidden = at !== chosen; });
    };
    buttons.forEach((button, at) => button.addEventListener("click", () => show(at)));
    box.querySelector(".tabs").hidden = false;
    show(Number(box.dataset.first));
  }

  // Hover text, at once instead of after the browser's pause.
  const hover = document.createElement("div");
  hover.id = "hover";
  hover.hidden = true;
  document.body.append(hover);
  const rows = new Map(all("#trials tbody tr").map((row) => [row.dataset.trial, row]));
  const light = (trial, lit) => {
    if (!trial) return;
    rows.get(trial)?.classList.toggle("lit", lit);
    for (const mark of all(`.mark[data-trial="${trial}"]`)) mark.classList.toggle("lit", lit);
  };
  for (const mark of all(".mark")) {
    const text = mark.querySelector("title").textContent;
    mark.querySelector("title").remove();
    mark.setAttribute("aria-label", text);
    const show = () => {
      const box = mark.getBoundingClientRect();
      hover.textContent = text;
      hover.hidden = false;
      const left = Math.min(box.right + 8, window.innerWidth - hover.offsetWidth - 8);
      hover.style.left = `${Math.max(8, left)}px`;
      hover.style.top = `${Math.max(8, box.top - hover.offsetHeight - 8)}px`;
      light(mark.dataset.trial, true);
    };
    const hide = () => { hover.hidden = true; light(mark.dataset.trial, false); };
    mark.addEventListener("pointerenter", show);
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("focus", show);
    mark.addEventListener("blur", hide);
    mark.addEventListener("click", () => rows.get(mark.dataset.trial)?.scrollIntoView({ block: "center" }));
  }
  for (const [trial, row] of rows) {
    row.addEventListener("pointerenter", () => light(trial, true));
    row.addEventListener("pointerleave", () => light(trial, false));
  }

  // The table: sort by any column, filter by words and by comparisons such as vmaf>=97 or crf<22.
  const table = document.getElementById("trials");
  if (!table) return;
  const body = table.tBodies[0], heads = all("thead th", table);
  const value = (row, column) => {
    const text = row.cells[column].dataset.v ?? row.cells[column].textContent;
    return text === "" ? null : isNaN(text) ? text : Number(text);
  };
  const sort = (column) => {
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    heads.forEach((head, at) => {
      if (at === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
    const sorted = [...body.rows].map((row) => [value(row, column), row]).sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);  // what was not measured is last
      const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
      return down ? -order : order;
    });
    body.append(...sorted.map(([, row]) => row));
  };
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => sort(at)));

  const names = new Map(heads.map((head, at) => [head.dataset.name, at]));
  const compare = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b, "=": (a, b) => a === b,
  };
  const test = (word) => {
    const found = /^([a-z_0-9]+)(<=|>=|<|>|=)(.+)$/.exec(word);
    if (!found) return (row) => row.textContent.toLowerCase().includes(word);
    const [, name, sign, bound] = found;
    const wanted = isNaN(bound) ? bound : Number(bound);
    return (row) => {
      const settings = JSON.parse(row.dataset.settings);
      const own = names.has(name) ? value(row, names.get(name)) : settings[name] ?? null;
      const has = typeof own === "boolean" ? String(own) : own;
      return has !== null && typeof has === typeof wanted && compare[sign](has, wanted);
    };
  };
  const words = document.getElementById("filter"), front = document.getElementById("front");
  const count = document.getElementById("count");
  const filter = () => {
    const tests = words.value.toLowerCase().replace(/\s*([<>]=?|=)\s*/g, "$1").split(/\s+/).filter(Boolean).map(test);
    let shown = 0;
    for (const row of body.rows) {
      row.hidden = (front.checked && !row.dataset.front) || !tests.every((holds) => holds(row));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${body.rows.length} trials`;
  };
  words.addEventListener("input", filter);
  front.addEventListener("change", filter);
  filter();
})();
