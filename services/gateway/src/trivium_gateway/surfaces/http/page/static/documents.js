// The documents of the chosen collection: browse, open, delete.

import { call, documentPath } from "./api.js";
import { announce, confirmed, el, foreign, icon } from "./dom.js";
import { show, t } from "./i18n.js";
import { forgetDocuments } from "./library.js";
import { failure } from "./notices.js";
import { openReader } from "./reader.js";
import * as state from "./state.js";

const PAGE = 50;
const list = document.getElementById("document-list");
const message = document.getElementById("document-message");
const more = document.getElementById("document-more");
let nextToken = "";
let asked = 0;

/** Shows the first page anew. */
export async function refreshDocuments() {
  forgetDocuments();
  nextToken = "";
  show(document.getElementById("documents-in"), "documents.in", { collection: state.get("collection") });
  await page(true);
}

async function page(first) {
  const mine = ++asked;
  const collection = state.get("collection");
  const query = new URLSearchParams({ collection, page_size: String(PAGE), page_token: nextToken });
  if (first) message.replaceChildren(el("p.quiet", { t: "documents.loading" }));
  let found;
  try {
    found = await call("GET", `v1/documents?${query}`);
  } catch (error) {
    if (mine !== asked) return;
    if (first) list.replaceChildren();
    message.replaceChildren(failure(error));
    return;
  }
  if (mine !== asked) return;
  nextToken = found.next_page_token ?? "";
  const rows = found.documents.map((one) => row(one, collection));
  if (first) list.replaceChildren(...rows);
  else list.append(...rows);
  more.hidden = nextToken === "";
  message.replaceChildren(list.children.length ? "" : el("p.quiet", { t: "documents.empty" }));
}

function row(one, collection) {
  const title = one.title || one.id;
  const open = el("button.open", { type: "button", onclick: () => openReader({ ...one, collection }, open) },
    icon("file"), el("span.name", {}, foreign(title)),
    one.title && one.title !== one.id ? el("span.quiet.id", {}, foreign(one.id)) : null,
    el("span.quiet.count", { t: ["collections.pieces", { count: one.chunk_count }] }));
  const item = el("li", {}, open, el("button.icon-button", {
    type: "button", label: ["documents.delete", { title }], onclick: () => remove(one.id, title, collection, item) },
  icon("trash")));
  return item;
}

async function remove(id, title, collection, item) {
  if (!await confirmed("documents.delete.title", "documents.delete.text", { title, collection })) return;
  try {
    await call("DELETE", documentPath(id, collection));
  } catch (error) {
    message.replaceChildren(failure(error));
    return;
  }
  const next = (item.nextElementSibling ?? item.previousElementSibling)?.querySelector("button");
  item.remove();
  (next ?? document.getElementById("choose")).focus();
  announce(t("documents.deleted", { title }));
  forgetDocuments();
  state.emit("collections");
}

export function startDocuments() {
  more.addEventListener("click", () => page(false));
  state.on("collection", refreshDocuments);
  state.on("documents", refreshDocuments);
  refreshDocuments();
}
