// The documents of the chosen collection: find, sort, open, delete one or many.

import { call, documentPath } from "./api.js";
import { chosen, fetchAll, kinds } from "./catalogue.js";
import { announce, confirmed, el, foreign } from "./dom.js";
import { show, t } from "./i18n.js";
import { icon } from "./icons.js";
import { findInTexts, isSearchable } from "./intext.js";
import { forgetDocuments } from "./library.js";
import { failure } from "./notices.js";
import { openReader } from "./reader.js";
import * as state from "./state.js";

const BATCH = 100; // rows that are made at a time; more follow as they come into view
const AT_ONCE = 4; // deletions
const TYPED_MS = 100;
const TYPED_TO_SEARCH_MS = 400;

const list = document.getElementById("document-list");
const message = document.getElementById("document-message");
const more = document.getElementById("document-more");
const tools = document.getElementById("document-tools");
const bar = document.getElementById("document-bar");
const all = document.getElementById("document-all");
const adding = document.getElementById("add");
let collection = "";
let documents = [];
let fitting = [];
let isWhole = false;
const selected = new Set(); // ids
let asked = 0;
let typing = 0;
let searching = 0;
let looking = null; // what calls the gateway off
let inText = { words: "", found: new Map(), isAll: true };

/** Fetches the documents of the collection anew. */
export async function refreshDocuments() {
  const mine = ++asked;
  const isOther = collection !== state.get("collection");
  collection = state.get("collection");
  forgetDocuments();
  if (isOther) {
    tools.reset();
    inText = { words: "", found: new Map(), isAll: true };
    display([], false);
  }
  show(document.getElementById("documents-in"), "documents.in", { collection });
  if (!documents.length) message.replaceChildren(el("p.quiet", { t: "documents.loading" }));
  try {
    await fetchAll(collection, () => mine === asked, display);
  } catch (error) {
    if (mine !== asked) return;
    if (error.kind === "missing") display([], true);
    message.replaceChildren(failure(error));
  }
}

function display(found, whole) {
  const wasEmpty = !documents.length;
  documents = found.slice();
  isWhole = whole;
  const known = new Set(documents.map(({ id }) => id));
  if (whole) for (const id of selected) if (!known.has(id)) selected.delete(id);
  const kind = tools.elements.kind;
  const before = kind.value;
  kind.replaceChildren(el("option", { value: "", t: "documents.any_kind" }), ...kinds(documents).map((one) => el("option", { value: one }, one)));
  kind.value = before;
  if (kind.selectedIndex < 0) kind.value = "";
  tools.hidden = !documents.length;
  for (const one of tools.querySelectorAll(".dates, [value='date']")) one.hidden = !documents.some(({ date }) => date);
  // The list takes the place of what adds to it, but not from under the hands of whoever is at it.
  if (!documents.length) adding.open ||= whole;
  else if (wasEmpty && !adding.contains(document.activeElement)) adding.open = false;
  draw();
}

/** Shows those that fit, from the first on. */
function draw() {
  const { words, kind, since, until, order } = tools.elements;
  const found = inText.words === words.value ? inText.found : new Map();
  fitting = chosen(documents, { words: words.value, kind: kind.value, since: since.value, until: until.value, order: order.value }, found);
  list.replaceChildren();
  append();
  const isEmpty = isWhole && !fitting.length;
  message.replaceChildren(isEmpty ? el("p.quiet", { t: documents.length ? "documents.none_found" : "documents.empty" }) : "");
  if (found.size && !inText.isAll) message.append(el("p.quiet", { t: "documents.more_in_texts" }));
  drawBar();
}

/** Looks for what was typed in the texts, too, and shows what has it. */
async function search() {
  const words = tools.elements.words.value;
  if (words === inText.words || !isSearchable(words)) return;
  const mine = new AbortController();
  looking?.abort();
  looking = mine;
  try {
    inText = { words, ...await findInTexts(words, collection, mine.signal) };
    draw();
  } catch (error) {
    if (mine.signal.aborted) return;
    if (error.kind === "overloaded") searching = setTimeout(search, 1000 * error.retryAfter);
    else message.replaceChildren(failure(error, search));
  }
}

function append() {
  const from = list.children.length;
  list.append(...fitting.slice(from, from + BATCH).map((one, at) => row(one, from + at)));
  more.hidden = list.children.length >= fitting.length;
}

function row(one, at) {
  const box = el("input", { type: "checkbox", label: ["documents.select", { title: one.name }],
    onchange: () => { box.checked ? selected.add(one.id) : selected.delete(one.id); drawBar(); } });
  box.checked = selected.has(one.id);
  const open = el("button.open", { type: "button", onclick: () => openReader({ ...one, collection }, open) },
    icon("file"), el("span.name", { dir: "auto" }, one.name),
    one.name === one.id ? null : el("span.quiet.id", {}, foreign(one.id)),
    el("span.quiet.date", {}, one.date),
    el("span.quiet.count", { t: ["collections.pieces", { count: one.chunk_count }] }),
    inText.words === tools.elements.words.value && inText.found.has(one.id) ? el("span.quiet.in-text", { dir: "auto" }, inText.found.get(one.id)) : null);
  return el("li", { "aria-setsize": String(fitting.length), "aria-posinset": String(at + 1) }, box, open, el("button.icon-button", {
    type: "button", label: ["documents.delete", { title: one.name }], onclick: () => remove([one]) }, icon("trash")));
}

/** How many there are, and what can be done with those that are selected. */
function drawBar() {
  bar.hidden = !documents.length;
  bar.classList.toggle("selecting", selected.size > 0);
  const count = fitting.filter(({ id }) => selected.has(id)).length;
  all.checked = count > 0 && count === fitting.length;
  all.indeterminate = count > 0 && !all.checked;
  const shown = fitting.length === documents.length ? ["documents.count", { count: documents.length }]
    : ["documents.count_of", { count: fitting.length, all: documents.length }];
  show(document.getElementById("document-count"), ...(selected.size ? ["documents.selected", { count: selected.size }] : shown));
  document.getElementById("document-delete").hidden = !selected.size;
}

function selectAll() {
  const isOn = all.checked;
  draw(); // what was typed last may not be shown yet
  for (const { id } of fitting) isOn ? selected.add(id) : selected.delete(id);
  for (const box of list.querySelectorAll("input")) box.checked = isOn;
  drawBar();
}

async function remove(wanted) {
  const [{ name: title }] = wanted;
  const count = wanted.length;
  const asks = count === 1 ? ["documents.delete.title", "documents.delete.text"] : ["documents.delete_many.title", "documents.delete_many.text"];
  if (!await confirmed(...asks, { title, count, collection })) return;
  const gone = new Set();
  const rest = wanted.slice();
  const work = async () => {
    for (let one = rest.shift(); one; one = rest.shift()) {
      await call("DELETE", documentPath(one.id, collection));
      gone.add(one.id);
      selected.delete(one.id);
      if (count > 1) show(document.getElementById("document-count"), "documents.deleting", { done: gone.size, all: count });
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(AT_ONCE, count) }, work));
  const next = focusAfter(gone);
  documents = documents.filter(({ id }) => !gone.has(id));
  draw();
  (list.children[next]?.querySelector(".open") ?? document.getElementById("documents-title")).focus();
  const failed = ends.find(({ status }) => status === "rejected");
  if (failed) message.replaceChildren(failure(failed.reason));
  announce(count === 1 ? t("documents.deleted", { title }) : t("documents.deleted_many", { count: gone.size }));
  forgetDocuments();
  adding.open ||= !documents.length;
  state.emit("collections");
}

/** Which row has the focus once some are gone: that which comes into the place of the first of them. */
function focusAfter(gone) {
  const first = fitting.findIndex(({ id }) => gone.has(id));
  return Math.max(0, Math.min(first, fitting.length - gone.size - 1));
}

export function startDocuments() {
  more.addEventListener("click", append);
  new IntersectionObserver(([{ isIntersecting }]) => { if (isIntersecting && !more.hidden) append(); },
    { root: document.querySelector(".documents"), rootMargin: "1000px" }).observe(more);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(draw, TYPED_MS);
    clearTimeout(searching);
    looking?.abort();
    searching = setTimeout(search, TYPED_TO_SEARCH_MS);
  });
  all.addEventListener("change", selectAll);
  document.getElementById("document-delete").addEventListener("click", () => remove(documents.filter(({ id }) => selected.has(id))));
  state.on("collection", refreshDocuments);
  state.on("documents", refreshDocuments);
  refreshDocuments();
}
