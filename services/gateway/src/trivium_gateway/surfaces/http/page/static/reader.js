// The pane beside the conversation that shows a document, with a passage marked if one was cited.

import { el, foreign, icon, calm } from "./dom.js";
import { t } from "./i18n.js";
import { excerpt, locate, placeOf, reveal } from "./excerpt.js";
import { openDocument, webAddress } from "./library.js";

const AROUND = 12_000; // UTF-16 units shown before and after a passage
const MORE = 24_000;

const pane = document.getElementById("reader");
const heading = document.getElementById("reader-title");
const facts = document.getElementById("reader-facts");
const body = document.getElementById("reader-body");
const overlay = matchMedia("(max-width: 62rem)");
let opener = null;
let turn = 0;

export const isOpen = () => !pane.hidden;

/**
 * Opens a document.
 * @param {object} wanted `{id, title, collection}`, and `passage` where one is to be marked
 * @param {Element} from where the focus returns to when it is closed
 */
export async function openReader({ id, title, collection, passage }, from) {
  const mine = ++turn;
  opener = from ?? opener;
  pane.hidden = false;
  document.body.classList.add("reading");
  veil();
  heading.replaceChildren(foreign(title || t("untitled")));
  facts.replaceChildren();
  body.replaceChildren(el("p.quiet", { t: "reader.loading" }));
  heading.focus({ preventScroll: true });
  try {
    const found = await openDocument(id, collection);
    if (mine === turn) display(found, passage);
  } catch (error) {
    if (mine === turn) failed(error, passage);
  }
}

export function closeReader() {
  if (!isOpen()) return;
  turn += 1;
  pane.hidden = true;
  document.body.classList.remove("reading");
  veil();
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}

/** Where the pane covers the page, what is below it cannot be reached. */
function veil() {
  const covered = isOpen() && overlay.matches;
  for (const part of document.querySelectorAll("[data-below]")) part.inert = covered;
}

function display(found, passage) {
  heading.replaceChildren(foreign(found.title || found.id));
  const link = webAddress(found.uri);
  facts.replaceChildren(
    passage ? placeOf(passage) : "",
    el("bdi", {}, found.id),
    link ? el("a", { href: link, rel: "noopener noreferrer", target: "_blank" }, foreign(found.uri))
      : found.uri ? foreign(found.uri) : "",
    el("span", { t: ["reader.pieces", { count: found.chunk_count }] }),
    ...Object.entries(found.metadata).map(([key, value]) => el("bdi", {}, `${key}: ${[value].flat().join(", ")}`)));
  const place = passage ? locate(found.text, passage) : null;
  if (passage && !place) {
    body.replaceChildren(el("p.notice", { t: "reader.changed" }), alone(passage));
    return;
  }
  pages(found.text, place, passage?.claim);
}

const alone = ({ text, claim }) => excerpt(text, 0, text.length, { start: 0, end: text.length }, claim);

function pages(text, place, claim) {
  let from = place ? place.start - AROUND : 0;
  let to = place ? place.end + AROUND : MORE;
  const draw = () => {
    body.replaceChildren(
      from > 0 ? el("button.button", { t: "reader.earlier", onclick: earlier }) : "",
      excerpt(text, from, to, place, claim),
      to < text.length ? el("button.button", { t: "reader.later", onclick: () => { to += MORE; draw(); } }) : "");
  };
  const earlier = () => {
    const height = body.scrollHeight;
    from -= MORE;
    draw();
    body.scrollTop += body.scrollHeight - height;
  };
  draw();
  const mark = body.querySelector("mark");
  if (!mark) {
    body.scrollTop = 0;
    return;
  }
  reveal(body);
  mark.focus({ preventScroll: true });
  if (!calm()) mark.classList.add("arriving");
}

function failed(error, passage) {
  if (!passage) {
    body.replaceChildren(el("p.notice", { t: ["reader.failed", { message: error.message || `key:error.${error.kind}` }] }));
    return;
  }
  const what = error.kind === "missing" ? { t: "reader.gone" }
    : { t: ["reader.failed", { message: error.message || `key:error.${error.kind}` }] };
  body.replaceChildren(el("p.notice", what), alone(passage));
}

export function startReader() {
  const close = document.getElementById("reader-close");
  close.append(icon("close"));
  close.addEventListener("click", closeReader);
  overlay.addEventListener("change", veil);
}
