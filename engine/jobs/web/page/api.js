// Requests to the node. The token, if one is needed, is kept in sessionStorage: it ends with the tab.

const TOKEN = "video-pipeline-token";
const dialog = document.getElementById("token-dialog");
const form = document.getElementById("token-form");
const field = document.getElementById("token");
const fault = document.getElementById("token-fault");
let asking = null;

export class ApiError extends Error {
  constructor(status, body) {
    super(body?.message ?? `the node replied with status ${status}`);
    this.status = status;
    this.code = body?.code ?? "";
    this.retryAfter = body?.retry_after ?? null;
  }
}

export function hasToken() {
  return sessionStorage.getItem(TOKEN) !== null;
}

export function forgetToken() {
  sessionStorage.removeItem(TOKEN);
}

function askForToken(reason) {
  asking ??= new Promise((resolve) => {
    fault.textContent = reason;
    field.value = "";
    const submitted = () => {
      const token = field.value.trim();
      if (/^[!-~]+$/.test(token)) {
        sessionStorage.setItem(TOKEN, token);
        field.value = "";
        form.removeEventListener("submit", submitted);
        asking = null;
        document.dispatchEvent(new Event("token-changed"));
        resolve();
      }
    };
    form.addEventListener("submit", submitted);
    if (!dialog.open) dialog.showModal();
    field.focus();
  });
  return asking;
}
dialog.addEventListener("close", () => {
  if (asking && !dialog.open) dialog.showModal();
});

function headersOf(more) {
  const token = sessionStorage.getItem(TOKEN);
  return token === null ? more : { ...more, Authorization: `Bearer ${token}` };
}

// Send a request; without a valid token ask for one and send it again. Returns the response.
export async function send(method, path, { query = {}, headers = {}, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const search = given.length ? `?${new URLSearchParams(given)}` : "";
  for (;;) {
    const used = sessionStorage.getItem(TOKEN);
    const response = await fetch(path + search, {
      method, signal, headers: headersOf(headers), credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
    });
    if (response.ok) return response;
    const body = await response.json().catch(() => null);
    if (response.status === 401) {
      if (used === sessionStorage.getItem(TOKEN)) {
        await askForToken(used === null ? "" : "The node does not know this token.");
      }
      continue;
    }
    throw new ApiError(response.status, body);
  }
}

export async function get(path, query = {}, signal = undefined) {
  const response = await send("GET", path, { query, signal, headers: { Accept: "application/json" } });
  return response.json();
}

export async function post(path, query = {}) {
  const response = await send("POST", path, { query });
  return response.json();
}

const part = encodeURIComponent;
export const jobPath = (id, ...more) => ["/jobs", part(id), ...more.map(part)].join("/");
export const machinePath = (name, action) => `/machines/${part(name)}/${action}`;
