// Calls of the gateway. Everything that can go wrong comes out as an ApiError with a kind that the page can explain.

import { accepted, credentials, renewed } from "./key.js";
import { events } from "./sse.js";

const KINDS = { 400: "refused", 401: "stranger", 403: "forbidden", 404: "missing", 409: "refused", 413: "refused", 429: "overloaded",
  500: "broken", 503: "unavailable", 504: "timeout" };

/** What went wrong: `kind` is `network`, `interrupted`, `stopped`, or one of the above. */
export class ApiError extends Error {
  constructor(kind, { message = "", reason = "", retryAfter = 0, requestId = "" } = {}) {
    super(message);
    Object.assign(this, { kind, reason, retryAfter, requestId });
  }
}

const address = (path) => new URL(path, document.baseURI);

export function documentPath(id, collection) {
  return `v1/documents/${encodeURIComponent(id)}?collection=${encodeURIComponent(collection)}`;
}

export function filePath(id, collection) {
  return `v1/files/${encodeURIComponent(id)}?collection=${encodeURIComponent(collection)}`;
}

/** What a message says to a reader: what is said of settings is for whoever runs the gateway, who finds it with `trivium doctor`. */
export const forReaders = (message) =>
  message.split(/(?<=[.!?]) /).filter((sentence) => !/\bTRIVIUM_|\btrivium (?:up|doctor)\b/.test(sentence)).join(" ");

/** An error as the gateway has it, in what it says to a reader. */
export const readable = ({ message = "", reason = "" }) => ({ message: forReaders(message), reason });

export function errorFrom(status, body, header = () => null) {
  const error = body?.error ?? {};
  const kind = error.reason === "PERMISSION_DENIED" ? "scope" : KINDS[status];
  return new ApiError(kind ?? (status >= 500 ? "unavailable" : "other"), {
    ...readable(error),
    retryAfter: Number(header("Retry-After")) || 1,
    requestId: header("X-Request-Id") ?? "",
  });
}

async function send(path, options) {
  const key = credentials();
  let response;
  try {
    response = await fetch(address(path), {
      credentials: "omit", cache: "no-store", ...options, headers: { ...options.headers, ...key },
    });
  } catch (error) {
    throw new ApiError(error.name === "AbortError" ? "stopped" : "network");
  }
  if (response.ok) {
    accepted(key);
    return response;
  }
  if (response.status === 401 && await renewed(key)) return send(path, options);
  const body = await response.json().catch(() => null);
  throw errorFrom(response.status, body, (name) => response.headers.get(name));
}

/** Calls, and gives the JSON that comes back. */
export async function call(method, path, content, signal) {
  const body = content === undefined ? {} : {
    body: JSON.stringify(content), headers: { "Content-Type": "application/json" },
  };
  const response = await send(path, { method, signal, ...body });
  return response.json();
}

/** Loads what is no JSON: a file, or a page of it. */
export const load = (path) => send(path, { method: "GET" });

/** How each stage is; a gateway that is not ready says so with 503, which is no failure here. */
export async function readiness() {
  const response = await fetch(address("readyz"), { credentials: "omit", cache: "no-store" });
  return response.json();
}

/** Asks, and gives each event of the answer as it comes. Ends after the summary, or throws. */
export async function* answer(question, signal) {
  const response = await send("v1/answer", {
    method: "POST", signal, body: JSON.stringify({ ...question, stream: true }),
    headers: { "Content-Type": "application/json", "Accept": "text/event-stream" },
  });
  const requestId = response.headers.get("X-Request-Id") ?? "";
  let complete = false;
  try {
    for await (const { name, data } of events(response.body)) {
      const content = JSON.parse(data);
      if (name === "error") throw errorFrom(content.error?.code ?? 500, content, (header) => header === "X-Request-Id" ? requestId : null);
      complete ||= name === "summary";
      yield { name, content };
    }
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(error.name === "AbortError" ? "stopped" : "interrupted", { requestId });
  }
  if (!complete) throw new ApiError("interrupted", { requestId });
}

/** Has the gateway take files over. Gives `{job}`. */
export async function sendFiles(files, fields, collection) {
  const form = new FormData();
  const id = files.length === 1 ? { id: files[0].path } : {};
  for (const [name, value] of Object.entries({ ...fields, ...id, collection, wait: "false" })) form.append(name, value);
  for (const { file, path } of files) form.append("file", file, path);
  return (await send("v1/documents", { method: "POST", body: form })).json();
}

/** Sends a file with progress, which fetch cannot tell. `stop` of the result cancels it. */
export function upload(file, fields, onProgress) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file, file.name);
  const request = new XMLHttpRequest();
  const done = new Promise((resolve, reject) => {
    request.open("POST", address("v1/documents"));
    for (const [name, value] of Object.entries(credentials())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    });
    request.upload.addEventListener("load", () => onProgress(1));
    request.addEventListener("load", () => {
      if (request.status === 200) resolve(request.response.documents[0]);
      else reject(errorFrom(request.status, request.response, (name) => request.getResponseHeader(name)));
    });
    request.addEventListener("error", () => reject(new ApiError("network")));
    request.addEventListener("abort", () => reject(new ApiError("stopped")));
  });
  request.send(form);
  return { done, stop: () => request.abort() };
}
