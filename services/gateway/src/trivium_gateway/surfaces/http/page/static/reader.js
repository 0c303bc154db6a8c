// The pane beside the conversation that shows a document, with a passage marked if one was cited.

import { copyButton } from "./clipboard.js";
import { el, foreign, calm } from "./dom.js";
import { t } from "./i18n.js";
import { locate, placeOf, reveal } from "./excerpt.js";
import { icon } from "./icons.js";
import { openDocument, shortName, webAddress } from "./library.js";
import { breaksLines, isPlain, part } from "./prose.js";
import { addressOf, fragment, go, leave, onRoute, route } from "./route.js";

const AROUND = 12_000; // UTF-16 units shown before and after a passage
const MORE = 24_000;

const pane = document.getElementById("reader");
const heading = document.getElementById("reader-title");
const facts = document.getElementById("reader-facts");
const body = document.getElementById("reader-body");
const overlay = matchMedia("(max-width: 62rem)");
let opener = null;
let turn = 0;
let shown = ""; // the place whose document is open
let expected = null; // what is known of a place that the page goes to

/** Whether a document is shown as it is stored; a button says so, and changes it where that makes a difference. */
class Plain {
  constructor(button) {
    this.button = button;
    button.append(icon("code"));
    button.addEventListener("click", () => {
      this.set(!this.isOn);
      this.again();
    });
  }

  set(isOn) {
    this.isOn = isOn;
    this.button.setAttribute("aria-pressed", String(isOn));
  }

  begin(isOn, again) {
    this.set(isOn);
    this.button.hidden = isOn;
    this.again = again;
  }

  hide() {
    this.button.hidden = true;
  }
}

const plain = new Plain(document.getElementById("reader-plain"));

export const isOpen = () => !pane.hidden;

/**
 * Opens a document: the page goes to its address.
 * @param {object} wanted `{id, title, collection}`, and `passage` where one is to be marked
 * @param {Element} from where the focus returns to when it is closed
 */
export function openReader({ id, title, collection, passage }, from) {
  opener = from ?? opener;
  const at = passage ? `${passage.span.start}-${passage.span.end}` : "";
  const place = { ...below(route()), in: collection, doc: id, at };
  expected = { place: fragment(place), title, passage };
  if (shown === expected.place) load({ id, title, collection, passage });
  else go(place, { over: true, replace: isOpen() });
}

/** The place without the document that lies over it. */
const below = ({ in: _in, doc: _doc, at: _at, ...rest }) => rest;

export function closeReader() {
  if (isOpen()) leave(below(route()));
}

/** Shows what the address names. A link knows where a passage stands, and not what it was. */
export function openNamed(place) {
  if (!place.doc) {
    close();
    return;
  }
  const address = fragment(place);
  if (address === shown) return;
  const [start, end] = (place.at ?? "").split("-").map(Number);
  const passage = end > start ? { span: { start, end }, text: "" } : null;
  const known = expected?.place === address ? expected : { title: "", passage };
  shown = address;
  load({ id: place.doc, collection: place.in || "default", ...known });
}

async function load({ id, title, collection, passage }) {
  const mine = ++turn;
  pane.hidden = false;
  document.body.classList.add("reading");
  veil();
  heading.replaceChildren(foreign(title || shortName(id)));
  facts.replaceChildren();
  plain.hide();
  body.replaceChildren(el("p.quiet", { t: "reader.loading" }));
  heading.focus({ preventScroll: true });
  try {
    const found = await openDocument(id, collection);
    if (mine !== turn) return;
    plain.begin(isPlain(id), () => display(found, passage));
    display(found, passage);
  } catch (error) {
    if (mine === turn) failed(error, passage);
  }
}

function close() {
  if (!isOpen()) return;
  turn += 1;
  shown = "";
  pane.hidden = true;
  document.body.classList.remove("reading");
  veil();
  if (opener?.isConnected) opener.focus({ preventScroll: true });
  opener = null;
}

/** Where the pane covers the page, what is below it cannot be reached. */
function veil() {
  const covered = isOpen() && overlay.matches;
  for (const one of document.querySelectorAll("[data-below]")) one.inert = covered;
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
  pages(found, place, passage?.quote);
}

const alone = ({ document_id, text, quote }) => part(text, 0, text.length, { start: 0, end: text.length }, quote, plain.isOn, breaksLines(document_id));

function pages({ id, text }, place, quote) {
  let from = place ? place.start - AROUND : 0;
  let to = place ? place.end + AROUND : MORE;
  const draw = () => {
    body.replaceChildren(
      from > 0 ? el("button.button", { t: "reader.earlier", onclick: earlier }) : "",
      part(text, from, to, place, quote, plain.isOn, breaksLines(id)),
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
  if (!passage?.text) {
    body.replaceChildren(el("p.notice", { t: ["reader.failed", { message: error.message || `key:error.${error.kind}` }] }));
    return;
  }
  const what = error.kind === "missing" ? { t: "reader.gone" }
    : { t: ["reader.failed", { message: error.message || `key:error.${error.kind}` }] };
  body.replaceChildren(el("p.notice", what), alone(passage));
}

export function startReader() {
  const button = document.getElementById("reader-close");
  button.append(icon("close"));
  button.before(copyButton("reader.link", () => addressOf(route()), "link"));
  button.addEventListener("click", closeReader);
  onRoute(openNamed);
  overlay.addEventListener("change", veil);
}
