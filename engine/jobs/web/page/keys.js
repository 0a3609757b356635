// Keys of the page. They do nothing in fields and dialogs, and can be turned off.

import { el } from "./dom.js";

const NAME = "video-pipeline-keys";
const help = document.getElementById("help");
const box = document.getElementById("keys-on");
box.checked = localStorage.getItem(NAME) !== "off";
box.addEventListener("change", () => localStorage.setItem(NAME, box.checked ? "on" : "off"));

export function openHelp() {
  help.showModal();
}

document.getElementById("help-button").addEventListener("click", openHelp);

// keys: [[key, words, action], …]
export function useKeys(keys) {
  document.getElementById("help-keys").replaceChildren(...keys.flatMap(([key, words]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, words)]));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, select, textarea, video") || (!box.checked && event.key !== "Escape")) return;
    const found = keys.find(([key]) => key === event.key);
    if (found) {
      event.preventDefault();
      found[2]();
    }
  });
}
