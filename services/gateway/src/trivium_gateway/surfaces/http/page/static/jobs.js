// Many files at once: the gateway takes them and adds them by itself, so that the page may be closed.

import { call, readable, sendFiles } from "./api.js";
import { announce, el, foreign } from "./dom.js";
import { show, t } from "./i18n.js";
import { icon } from "./icons.js";
import * as state from "./state.js";

const LOOK_MS = 1000;
const BATCH_FILES = 40;
const BATCH_BYTES = 8 * 1024 * 1024;
const MOST_SHOWN = 20; // jobs
const MOST_FAILURES = 100;
const UNSENT = "trivium.unsent"; // in this tab's storage: by job, how many files are not sent yet
const AGAIN = new Set(["network", "interrupted", "overloaded", "unavailable", "timeout"]);

const list = document.getElementById("job-list");
const lines = new Map(); // by job
let looking = false;
let sending = 0;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const hasEnded = (job) => job.ended !== null;

/** How many files were on their way when this page was left, by job; "" is the one whose id had not come yet. */
function unsent() {
  try {
    return JSON.parse(sessionStorage.getItem(UNSENT)) ?? {};
  } catch {
    return {};
  }
}

function noteUnsent(job, count) {
  const counts = unsent();
  if (count) counts[job] = count;
  else delete counts[job];
  try {
    sessionStorage.setItem(UNSENT, JSON.stringify(counts));
  } catch {
    // A browser that keeps nothing: whoever leaves the page is not told what was missing.
  }
}

/** Files in the pieces in which they are sent. A name that a form would change goes alone, with its id beside it. */
function batches(files) {
  const found = [];
  let size = Infinity;
  for (const one of files) {
    const isOdd = /["\r\n]/.test(one.path);
    const last = found.at(-1);
    if (isOdd || size + one.file.size > BATCH_BYTES || last.length >= BATCH_FILES) {
      found.push([]);
      size = 0;
    }
    found.at(-1).push(one);
    size = isOdd ? Infinity : size + one.file.size;
  }
  return found;
}

/** Sends files to a job. False if this gateway can keep none, so that they have to go up one by one. */
export async function sendToJob(files, collection) {
  const line = new Line(collection, files.length);
  const rest = batches(files);
  sending += 1;
  try {
    return await line.send(rest);
  } finally {
    sending -= 1;
  }
}

/** One job on the page. */
class Line {
  constructor(collection, expected = 0) {
    Object.assign(this, { collection, expected, sent: 0, job: null, cancelled: false, unsent: 0 });
    this.bar = el("progress", { max: "1", value: "0", label: ["job.title", { count: expected, collection }] });
    this.name = el("span.name", { t: ["job.title", { count: expected, collection }] });
    this.said = el("span.said", { t: ["job.sending", { sent: 0, all: expected }] });
    this.buttons = el("span.row");
    this.failures = el("ul.failures");
    this.element = el("li.job", {}, icon("upload"), this.name, this.bar, this.said, this.buttons, this.failures);
    this.setButtons(this.stopButton());
    list.append(this.element);
    document.getElementById("uploads").hidden = false;
  }

  get isSending() { return this.sent < this.expected && !this.cancelled; }

  setButtons(...buttons) { this.buttons.replaceChildren(...buttons); }

  stopButton() {
    return el("button.icon-button", { type: "button", label: "job.cancel", onclick: () => this.cancel() }, icon("close"));
  }

  async send(rest) {
    while (rest.length && !this.cancelled) {
      this.noteUnsent();
      let taken;
      try {
        taken = await sendFiles(rest[0], this.job ? { job: this.job.id } : {}, this.collection);
      } catch (error) {
        if (this.cancelled) return true;
        if (error.reason === "JOBS_UNAVAILABLE" && !this.job) {
          this.remove();
          return false;
        }
        if (AGAIN.has(error.kind)) {
          show(this.said, "job.hindered", { message: error });
          await pause(1000 * (error.retryAfter || 2));
          continue;
        }
        this.expected = this.sent;
        show(this.said, "upload.failed", { message: error });
        this.setButtons(el("button.button.small", { t: "retry", onclick: () => this.sendAgain(rest) }), this.closeButton());
        return true;
      }
      this.sent += rest.shift().length;
      if (!this.job) {
        this.job = { id: taken.job, ended: null, total: 0, done: 0, failed_count: 0, state: "queued" };
        lines.set(taken.job, this);
        noteUnsent("", 0);
        if (this.cancelled) await this.cancel();
      }
      this.draw();
      look();
    }
    this.noteUnsent();
    return true;
  }

  noteUnsent() { noteUnsent(this.job?.id ?? "", this.cancelled ? 0 : this.expected - this.sent); }

  sendAgain(rest) {
    this.expected = this.sent + rest.reduce((count, batch) => count + batch.length, 0);
    this.setButtons(this.stopButton());
    this.send(rest);
  }

  /** Shows what the gateway says of the job. */
  update(job) {
    const before = this.job;
    this.job = job;
    this.draw();
    if (!hasEnded(job) || this.isSending || (before && hasEnded(before))) return;
    announce(this.said.textContent);
    state.emit("documents");
    state.emit("collections");
  }

  draw() {
    const { job } = this;
    const total = Math.max(job.total, this.expected);
    show(this.name, "job.title", { count: total, collection: this.collection });
    this.bar.max = Math.max(total, 1);
    this.bar.value = job.done;
    const counts = { done: job.done - job.failed_count, total, failed: job.failed_count };
    if (this.isSending) show(this.said, "job.sending", { sent: this.sent, all: this.expected });
    else if (job.waiting) show(this.said, "job.waiting", { ...counts, message: readable(job.waiting) });
    else if (job.state === "running" && !job.failed_count) show(this.said, "job.running_well", counts);
    else show(this.said, `job.${job.state}`, counts);
    if (this.isSending) return;
    const isOver = hasEnded(job);
    this.bar.hidden = isOver;
    this.element.className = `job ${!isOver ? "" : job.state === "done" ? "done" : "failed"}`;
    if (!isOver) this.setButtons(this.stopButton());
    else if (job.state === "done") this.setButtons(this.closeButton());
    else this.setButtons(el("button.button.small", { t: "retry", onclick: () => this.retry() }), this.closeButton());
    this.failures.replaceChildren(...(isOver ? (job.failed ?? []) : []).map(({ id, error }) =>
      el("li", {}, foreign(id), " ", el("span.said", { dir: "auto", t: ["error.said", { message: readable(error) }] }))));
    const more = job.failed_count - this.failures.children.length;
    if (isOver && more > 0) this.failures.append(el("li", { t: ["job.more", { count: more }] }));
    if (this.unsent) this.failures.append(el("li", { t: ["job.unsent", { count: this.unsent }] }));
  }

  /** Shows that files were on their way when the page was left, before it knew their job. */
  drawUnsent(count) {
    show(this.name, "job.title", { count, collection: this.collection });
    show(this.said, "job.unsent", { count });
    this.bar.hidden = true;
    this.element.className = "job failed";
    this.setButtons(this.closeButton());
  }

  closeButton() {
    return el("button.icon-button", { type: "button", label: "job.forget", onclick: () => this.forget() }, icon("close"));
  }

  async cancel() {
    this.cancelled = true;
    this.expected = this.sent;
    this.noteUnsent();
    if (this.job && !hasEnded(this.job)) await this.change("DELETE", `v1/jobs/${this.job.id}`);
    else if (!this.job) this.remove();
  }

  async retry() {
    this.cancelled = false;
    await this.change("POST", `v1/jobs/${this.job.id}/retry`);
    look();
  }

  async forget() {
    if (this.job && hasEnded(this.job)) await this.change("DELETE", `v1/jobs/${this.job.id}`);
    this.remove();
  }

  async change(method, path) {
    try {
      this.update(await call(method, path));
    } catch (error) {
      show(this.said, "upload.failed", { message: error });
    }
  }

  remove() {
    if (this.job) lines.delete(this.job.id);
    noteUnsent(this.job?.id ?? "", 0);
    this.element.remove();
    document.getElementById("uploads").hidden = !document.querySelector("#upload-list > li, #job-list > li");
  }
}

/** Looks after the jobs that go on, until none does. */
async function look() {
  if (looking) return;
  looking = true;
  try {
    for (;;) {
      const open = [...lines.values()].filter((line) => !hasEnded(line.job) || line.isSending);
      if (!open.length) return;
      await pause(LOOK_MS);
      for (const line of open) await refresh(line);
    }
  } finally {
    looking = false;
  }
}

async function refresh(line) {
  try {
    line.update(await call("GET", `v1/jobs/${line.job.id}?page_size=${MOST_FAILURES}`));
  } catch (error) {
    if (error.kind === "missing") line.remove();
    else if (!AGAIN.has(error.kind)) show(line.said, "upload.failed", { message: error });
  }
}

/** Shows the jobs that go on, or that failed, whoever began them. */
export async function startJobs() {
  addEventListener("beforeunload", (event) => { if (sending) event.preventDefault(); });
  const left = unsent();
  if (left[""]) new Line(state.get("collection")).drawUnsent(left[""]);
  let found;
  while (!found) {
    try {
      found = await call("GET", `v1/jobs?page_size=${MOST_SHOWN}`);
    } catch (error) {
      if (!AGAIN.has(error.kind)) return; // who may not add documents has no jobs
      await pause(1000 * (error.retryAfter || 5));
    }
  }
  for (const job of found.jobs.reverse()) {
    if (lines.has(job.id) || !(left[job.id] || ["queued", "running", "failed"].includes(job.state))) continue;
    const line = new Line(job.collection);
    lines.set(job.id, line);
    Object.assign(line, { job, unsent: left[job.id] ?? 0 });
    line.draw();
    if (hasEnded(job)) refresh(line);
  }
  look();
}
