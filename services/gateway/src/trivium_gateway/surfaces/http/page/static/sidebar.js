// The conversations that are kept, beside the one on the page: found, opened, renamed, written out, deleted.

import { exported, forget, found, opened, rename } from "./conversations.js";
import { announce, confirmed, el, saved } from "./dom.js";
import { t } from "./i18n.js";
import { icon } from "./icons.js";
import { fragment, go, onRoute, route } from "./route.js";
import * as state from "./state.js";

const DAY_MS = 24 * 60 * 60 * 1000;
const TYPED_MS = 120;

const side = document.getElementById("talks");
const list = document.getElementById("talk-list");
const search = document.getElementById("talk-search");
const all = document.getElementById("talk-delete-all");
const toggle = document.getElementById("talk-toggle");
const fresh = document.getElementById("new");
const beside = matchMedia("(min-width: 62.01rem)");
let drawing = 0;
let typing = 0;

export const isOver = () => side.classList.contains("beside") && !beside.matches;

export function setOpen(open) {
  side.classList.toggle("beside", open);
  toggle.setAttribute("aria-expanded", String(open));
  if (beside.matches) state.remember("talks", open ? "open" : "closed");
}

async function draw() {
  const mine = ++drawing;
  const conversations = await found(search.value);
  if (mine !== drawing || list.querySelector("input")) return;
  const rows = [];
  let period = "";
  for (const one of conversations) {
    const its = periodOf(one.updated);
    if (its !== period) rows.push(el("li.period", {}, el("h2", { t: `talks.${its}` })));
    period = its;
    rows.push(row(one));
  }
  if (!rows.length) rows.push(el("li.quiet.none", { t: search.value ? "talks.none_found" : "talks.none" }));
  list.replaceChildren(...rows);
  all.hidden = !conversations.length || search.value !== "";
}

function periodOf(time) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  if (time >= midnight) return "today";
  return time >= midnight - 7 * DAY_MS ? "week" : "earlier";
}

function row({ id, title }) {
  const isShown = id === route().c;
  const link = el("a.talk", { href: fragment({ view: "ask", c: id }), dir: "auto", ...(isShown ? { "aria-current": "page" } : {}) }, title);
  const item = el("li", {}, link,
    tool("edit", "talks.rename", title, () => startRenaming(item, link, id, title)),
    tool("save", "talks.export", title, () => download(id)),
    tool("trash", "talks.delete", title, () => remove(id, title)));
  return item;
}

const tool = (picture, name, title, onclick) =>
  el("button.icon-button", { type: "button", label: [name, { title }], onclick }, icon(picture));

function startRenaming(item, link, id, title) {
  const field = el("input", { label: "talks.title", dir: "auto", maxlength: "80", autocomplete: "off" });
  field.value = title;
  let ended = false;
  const end = async (keep) => {
    if (ended) return;
    ended = true;
    field.remove();
    item.prepend(link);
    if (keep) await rename(id, field.value);
    await draw();
    [...list.querySelectorAll("a")].find((one) => one.hash === link.hash)?.focus();
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    end(event.key === "Enter");
  });
  field.addEventListener("blur", () => end(true));
  link.replaceWith(field);
  field.focus();
  field.select();
}

async function download(id) {
  const conversation = await opened(id);
  if (!conversation) return;
  const name = conversation.title.replace(/[\s\\/:*?"<>|.]+/g, "-").slice(0, 60) || id;
  await saved(new Response(exported(conversation), { headers: { "Content-Type": "text/markdown" } }), `${name}.md`);
}

async function remove(id, title) {
  if (!await confirmed("talks.delete.title", "talks.delete.text", { title })) return;
  await forget([id]);
  announce(t("talks.deleted"));
  fresh.focus();
}

async function removeAll() {
  const conversations = await found();
  if (!await confirmed("talks.delete_all.title", "talks.delete_all.text", { count: conversations.length })) return;
  await forget(conversations.map(({ id }) => id));
  announce(t("talks.deleted"));
  fresh.focus();
}

export function startSidebar() {
  toggle.append(icon("panel"));
  fresh.append(icon("plus"), el("span", { t: "new" }));
  toggle.addEventListener("click", () => setOpen(!side.classList.contains("beside")));
  fresh.addEventListener("click", () => {
    if (isOver()) setOpen(false);
    go({ view: "ask" });
    document.getElementById("question").focus();
  });
  list.addEventListener("click", (event) => { if (event.target.closest("a") && isOver()) setOpen(false); });
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(draw, TYPED_MS);
  });
  all.addEventListener("click", removeAll);
  document.getElementById("talk-veil").addEventListener("click", () => setOpen(false));
  for (const name of ["conversations", "owner"]) state.on(name, draw);
  onRoute((place, before) => { if (place.c !== before.c) draw(); });
  beside.addEventListener("change", () => setOpen(beside.matches && state.remembered("talks") !== "closed"));
  setOpen(beside.matches && state.remembered("talks") !== "closed");
  draw();
}
