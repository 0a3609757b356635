// Asks before something that cannot be taken back at once. Resolves to whether it is to be done.

import { put } from "./dom.js";

const dialog = document.getElementById("ask-dialog");
const form = document.getElementById("ask-form");
document.getElementById("ask-no").addEventListener("click", () => dialog.close("no"));

export function ask({ title, body, yes, check = () => "" }) {
  put(document.getElementById("ask-title"), title);
  document.getElementById("ask-body").replaceChildren(...body);
  put(document.getElementById("ask-yes"), yes);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    const submitted = (event) => {
      event.preventDefault();
      if (!check()) dialog.close("yes");
    };
    const closed = () => {
      form.removeEventListener("submit", submitted);
      dialog.removeEventListener("close", closed);
      resolve(dialog.returnValue === "yes");
    };
    form.addEventListener("submit", submitted);
    dialog.addEventListener("close", closed);
  });
}
