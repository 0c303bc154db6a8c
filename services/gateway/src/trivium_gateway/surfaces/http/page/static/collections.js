// Collections: the one that is asked, and the list of all.

import { offer } from "./also.js";
import { call } from "./api.js";
import { announce, confirmed, el } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { failure } from "./notices.js";
import { openIndex } from "./reindexing.js";
import * as state from "./state.js";

const select = document.getElementById("collection");
const list = document.getElementById("collection-list");
const form = document.getElementById("collection-form");
const problem = document.getElementById("collection-problem");
const troubled = document.getElementById("welcome-problem");

/** Asks which there are, and shows them. `default` is there before its first use. */
export async function refreshCollections() {
  let found;
  try {
    found = (await call("GET", "v1/collections")).collections;
    problem.replaceChildren();
    troubled.replaceChildren();
  } catch (error) {
    found = [];
    problem.replaceChildren(failure(error));
    if (error.kind !== "missing") {
      if (!select.length) select.append(el("option", {}, state.get("collection")));
      troubled.replaceChildren(failure(error, refreshCollections, { label: "retry", level: "h2" }));
      return; // what was shown may still be true
    }
  }
  if (!found.some(({ name }) => name === "default")) found.unshift({ name: "default", state: "unused" });
  if (!found.some(({ name }) => name === state.get("collection"))) state.set("collection", "default");
  found.sort((one, other) => one.name.localeCompare(other.name));
  select.replaceChildren(...found.map(({ name }) => el("option", { value: name }, name)));
  select.value = state.get("collection");
  offer(found.map(({ name }) => name));
  list.replaceChildren(...found.map(row));
  const chosen = found.find(({ name }) => name === state.get("collection"));
  document.getElementById("welcome-empty").hidden = Boolean(chosen?.chunk_count) || isBroken(chosen);
  document.getElementById("welcome-hint").hidden = !chosen?.chunk_count;
}

/** Whether there may be documents in a collection that cannot be shown now. */
function isBroken(collection) {
  return Boolean(collection) && !["ready", "unused"].includes(collection.state);
}

function row({ name, state: how, chunk_count: count }) {
  const chosen = name === state.get("collection");
  return el(chosen ? "li.chosen" : "li", {},
    el("button.pick", { type: "button", "aria-pressed": String(chosen), onclick: () => state.set("collection", name) },
      el("bdi", {}, name),
      el("span.quiet", { t: how === "ready" ? ["collections.pieces", { count }] : `collections.${how}` })),
    how === "ready" ? el("button.icon-button.calm", {
      type: "button", label: ["index.title", { name }], onclick: () => openIndex(name) }, icon("layers")) : null,
    how === "unused" ? null : el("button.icon-button", {
      type: "button", label: ["collections.delete", { name }], onclick: () => remove(name) }, icon("trash")));
}

async function remove(name) {
  if (!await confirmed("collections.delete.title", "collections.delete.text", { name })) return;
  try {
    await call("DELETE", `v1/collections/${encodeURIComponent(name)}`);
    announce(t("collections.deleted", { name }));
    if (state.get("collection") === name) state.set("collection", "default");
    state.emit("documents");
  } catch (error) {
    problem.replaceChildren(failure(error));
    return;
  }
  await refreshCollections();
}

async function create(event) {
  event.preventDefault();
  const field = form.elements.name;
  const name = field.value.trim();
  try {
    await call("POST", "v1/collections", { name });
  } catch (error) {
    problem.replaceChildren(failure(error));
    announce(problem.innerText);
    return;
  }
  field.value = "";
  announce(t("collections.created", { name }));
  await refreshCollections();
  state.set("collection", name);
}

export function startCollections() {
  form.addEventListener("submit", create);
  select.addEventListener("change", () => state.set("collection", select.value));
  state.on("collection", refreshCollections);
  refreshCollections();
}
