// Adds documents: files and folders that are dropped or chosen, and pasted text.

import { ApiError, call, readable, upload } from "./api.js";
import { announce, el, foreign } from "./dom.js";
import { bytes, show, t } from "./i18n.js";
import { icon } from "./icons.js";
import { sendToJob } from "./jobs.js";
import { failure } from "./notices.js";
import { go, route } from "./route.js";
import * as state from "./state.js";

const MOST_FILES = 5000; // at a time
const FEW_FILES = 20; // are added one by one; the gateway takes more of them over
const AT_ONCE = 2;
const MOST_BYTES = Number(document.documentElement.dataset.maxDocumentBytes);

const list = document.getElementById("upload-list");
const clear = document.getElementById("upload-clear");
const veil = document.getElementById("drop-veil");
const waiting = [];
let sending = 0;
let done = 0;
let all = 0;

async function add(files) {
  if (route().view !== "documents") go({ view: "documents" });
  if (files.length > MOST_FILES) {
    list.prepend(el("li.failed", {}, el("span", { t: ["upload.too_many", { most: MOST_FILES }] })));
  }
  const collection = state.get("collection");
  const fitting = [];
  document.getElementById("uploads").hidden = false;
  for (const one of files.slice(0, MOST_FILES)) {
    if (one.file.size <= MOST_BYTES) {
      fitting.push(one);
      continue;
    }
    const entry = row(one.path);
    list.append(entry.element);
    entry.end("failed", "upload.too_large", { size: bytes(one.file.size), most: bytes(MOST_BYTES) });
  }
  if (fitting.length <= FEW_FILES || !await sendToJob(fitting, collection)) addEach(fitting, collection);
}

function addEach(files, collection) {
  for (const { file, path } of files) {
    all += 1;
    const entry = row(path);
    list.append(entry.element);
    waiting.push({ file, path, collection, entry });
  }
  next();
}

function next() {
  while (sending < AT_ONCE && waiting.length) send(waiting.shift());
  if (!sending && all) {
    announce(t("upload.done", { done, all }));
    done = all = 0;
    state.emit("documents");
    state.emit("collections");
  }
}

async function send(job) {
  const { file, path, collection, entry } = job;
  if (entry.cancelled) return next();
  sending += 1;
  const running = upload(file, { collection, id: path }, (share) => entry.progress(share));
  entry.stop = running.stop;
  try {
    const { status, chunks, error } = await running.done;
    if (status === "failed") entry.end("failed", "upload.failed", { message: readable(error) });
    else {
      done += 1;
      entry.end("done", `upload.${status}`, { count: chunks });
    }
  } catch (error) {
    if (error.kind === "stopped") entry.end("failed", "upload.cancelled");
    else entry.end("failed", "upload.failed", { message: error },
      () => { all += 1; waiting.push(job); entry.reset(); next(); });
  }
  sending -= 1;
  next();
}

/** The line of one upload. */
function row(path) {
  const bar = el("progress", { max: "1", value: "0", "aria-label": path });
  const said = el("span.said", { t: "upload.waiting" });
  const cancel = el("button.icon-button", { type: "button", label: ["upload.cancel", { name: path }] }, icon("close"));
  const element = el("li", {}, icon("file"), el("span.name", {}, foreign(path)), bar, said, cancel);
  const entry = {
    element, cancelled: false, stop: null,
    progress(share) {
      if (share >= 1) {
        bar.removeAttribute("value");
        show(said, "upload.indexing");
      } else {
        bar.value = share;
        show(said, "upload.sending", { percent: Math.round(share * 100) });
      }
    },
    end(kind, key, values, again) {
      bar.remove();
      cancel.remove();
      element.className = kind;
      show(said, key, values);
      if (again) element.append(el("button.button.small", { t: "retry", onclick: again }));
      clear.hidden = false;
    },
    reset() {
      element.className = "";
      element.querySelector(".button")?.remove();
      said.before(bar);
      element.append(cancel);
      show(said, "upload.waiting");
    },
  };
  cancel.addEventListener("click", () => {
    entry.cancelled = true;
    if (entry.stop) entry.stop();
    else entry.end("failed", "upload.cancelled");
  });
  return entry;
}

/** The files of a drop, those in dropped folders too, each with its path as its name. */
async function dropped(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return Array.from(transfer.files, (file) => ({ file, path: file.name }));
  const files = [];
  const visit = async (entry) => {
    if (files.length > MOST_FILES) return;
    if (entry.isFile) {
      const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
      if (file) files.push({ file, path: entry.fullPath.replace(/^\//, "") });
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const part = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
      if (!part.length) return;
      for (const inner of part) if (!inner.name.startsWith(".")) await visit(inner);
    }
  };
  for (const entry of entries) await visit(entry);
  return files;
}

function startDropping() {
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const end = () => { depth = 0; veil.hidden = true; };
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show(veil.firstElementChild, "upload.over", { collection: state.get("collection") });
    veil.hidden = false;
  });
  addEventListener("dragover", (event) => { if (hasFiles(event)) event.preventDefault(); });
  addEventListener("dragleave", (event) => { if (hasFiles(event) && --depth <= 0) end(); });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    end();
    const files = await dropped(event.dataTransfer);
    if (files.length) add(files);
  });
}

async function paste(event) {
  event.preventDefault();
  const form = event.target;
  const problem = document.getElementById("paste-problem");
  const [title, text] = [form.elements.title.value.trim(), form.elements.text.value];
  const entry = row(title || t("untitled"));
  entry.progress(1);
  try {
    const { documents: [result] } = await call("POST", "v1/documents", {
      documents: [{ text, ...(title ? { title, id: title } : {}) }], collection: state.get("collection") });
    if (result.status === "failed") throw new ApiError("refused", result.error);
    list.append(entry.element);
    document.getElementById("uploads").hidden = false;
    entry.end("done", `upload.${result.status}`, { count: result.chunks });
    announce(t(`upload.${result.status}`, { count: result.chunks }));
    problem.replaceChildren();
    form.reset();
    state.emit("documents");
    state.emit("collections");
  } catch (error) {
    problem.replaceChildren(failure(error));
    announce(problem.innerText);
  }
}

export function startUploads() {
  const input = document.getElementById("files");
  show(document.getElementById("upload-kinds"), "upload.kinds", { size: bytes(MOST_BYTES) });
  document.getElementById("choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    add(Array.from(input.files, (file) => ({ file, path: file.webkitRelativePath || file.name })));
    input.value = "";
  });
  clear.addEventListener("click", () => {
    for (const line of list.querySelectorAll(".done, .failed")) line.remove();
    clear.hidden = true;
    document.getElementById("uploads").hidden = !document.querySelector("#upload-list > li, #job-list > li");
  });
  document.getElementById("paste").addEventListener("submit", paste);
  startDropping();
}
