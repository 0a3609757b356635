// Makes elements. Text of a node is always set as text, never as markup.

export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  set(made, attributes);
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      element.addEventListener(name.slice(2), value);
    } else if (value === null || value === undefined || value === false) {
      element.removeAttribute(name);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
}

export function put(element, text) {
  const shown = String(text ?? "");
  if (element.textContent !== shown) element.textContent = shown;
}

// Text that others chose, kept from changing the direction of what stands beside it.
export function foreign(text) {
  return el("bdi", {}, String(text ?? ""));
}

export function button(label, action, attributes = {}) {
  return el("button", { type: "button", onclick: action, ...attributes }, label);
}

export function when(time) {
  if (!time) return el("span", {}, "–");
  const date = new Date(time);
  return el("time", { datetime: date.toISOString(), title: date.toString() },
    date.toLocaleString([], { dateStyle: "short", timeStyle: "medium" }));
}

export function bytes(count) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toFixed(1) : value} ${units[unit]}`;
}

export function number(value, digits = 0) {
  return Number(value).toLocaleString([], { maximumFractionDigits: digits });
}

export function pairs(rows) {
  const list = el("dl", { class: "pairs" });
  for (const [name, value] of rows) {
    if (value === null || value === undefined || value === "") continue;
    list.append(el("dt", {}, name), el("dd", {}, value));
  }
  return list;
}

const said = document.getElementById("said");
export function say(text) {
  put(said, "");
  requestAnimationFrame(() => put(said, text));
}

const fault = document.getElementById("fault");
let faultTimer = 0;
export function complain(error) {
  if (error?.name === "AbortError") return;
  put(fault, error?.message ?? String(error));
  fault.hidden = false;
  clearTimeout(faultTimer);
  faultTimer = setTimeout(() => { fault.hidden = true; }, 12000);
}

export function act(action) {
  return async (event) => {
    event?.preventDefault();
    try {
      await action();
      fault.hidden = true;
    } catch (error) {
      complain(error);
    }
  };
}
