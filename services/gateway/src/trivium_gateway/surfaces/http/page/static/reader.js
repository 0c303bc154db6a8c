// The pane beside the conversation that shows a document, with a passage marked if one was cited.

import { filePath, load } from "./api.js";
import { copyButton } from "./clipboard.js";
import { announce, calm, el, foreign, saved } from "./dom.js";
import { t } from "./i18n.js";
import { locate, placeOf, reveal } from "./excerpt.js";
import { icon } from "./icons.js";
import { openDocument, shortName, webAddress } from "./library.js";
import { failure } from "./notices.js";
import { hasPages, pages } from "./pages.js";
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

/** One way to show a document; a button says whether it is in use, and changes that where it makes a difference. */
class Way {
  constructor(id, picture) {
    this.button = document.getElementById(id);
    this.button.append(icon(picture));
    this.button.addEventListener("click", () => {
      this.set(!this.isOn);
      this.again();
    });
  }

  set(isOn) {
    this.isOn = isOn;
    this.button.setAttribute("aria-pressed", String(isOn));
  }

  begin(isOn, isOffered, again) {
    this.set(isOn);
    this.button.hidden = !isOffered;
    this.again = again;
  }
}

const plain = new Way("reader-plain", "code"); // as its text is stored
const paged = new Way("reader-pages", "file"); // as the pages of its file
const save = document.getElementById("reader-save");

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
  if (shown === expected.place) show({ id, title, collection, passage });
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
  show({ id: place.doc, collection: place.in || "default", ...known });
}

async function show({ id, title, collection, passage }) {
  const mine = ++turn;
  pane.hidden = false;
  document.body.classList.add("reading");
  veil();
  heading.replaceChildren(foreign(title || shortName(id)));
  facts.replaceChildren();
  for (const one of [plain.button, paged.button, save]) one.hidden = true;
  body.replaceChildren(el("p.quiet", { t: "reader.loading" }));
  heading.focus({ preventScroll: true });
  try {
    const found = await openDocument(id, collection);
    if (mine !== turn) return;
    const again = () => display(found, collection, passage);
    plain.begin(isPlain(id), !isPlain(id), again);
    paged.begin(hasPages(found), hasPages(found), again);
    save.hidden = !found.file;
    save.onclick = () => download(found.id, collection);
    again();
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

/** Saves the file that a document came in. */
async function download(id, collection) {
  try {
    await saved(await load(filePath(id, collection)), shortName(id));
  } catch (error) {
    announce(body.insertAdjacentElement("afterbegin", failure(error)).innerText);
  }
}

function display(found, collection, passage) {
  plain.button.hidden = isPlain(found.id) || paged.isOn;
  heading.replaceChildren(foreign(found.title || shortName(found.id)));
  const link = webAddress(found.uri);
  facts.replaceChildren(
    passage ? placeOf(passage) : "",
    el("bdi", {}, found.id),
    link ? el("a", { href: link, rel: "noopener noreferrer", target: "_blank" }, foreign(found.uri))
      : found.uri && !found.uri.endsWith(found.id) ? foreign(found.uri) : "", // a file's says no more than its path
    el("span", { t: ["reader.pieces", { count: found.chunk_count }] }),
    ...Object.entries(found.metadata).map(([key, value]) => el("bdi", {}, `${key}: ${[value].flat().join(", ")}`)));
  const place = passage ? locate(found.text, passage) : null;
  if (passage && !place) {
    body.replaceChildren(el("p.notice", { t: "reader.changed" }), alone(passage));
    return;
  }
  if (paged.isOn) {
    body.scrollTop = 0;
    body.replaceChildren(pages(found, collection, place, passage, body, arrived));
  } else texts(found, place, passage?.quote);
}

/** Goes to what is marked. */
function arrived(first) {
  const mark = (body.querySelector(".quote") ?? body.querySelector("mark"))?.closest("mark");
  if (!mark) {
    if (first) body.scrollTop += first.getBoundingClientRect().top - body.getBoundingClientRect().top;
    return;
  }
  reveal(body);
  mark.focus({ preventScroll: true });
  if (!calm()) mark.classList.add("arriving");
}

const alone = ({ document_id, text, quote }) => part(text, 0, text.length, { start: 0, end: text.length }, quote, plain.isOn, breaksLines(document_id));

function texts({ id, text }, place, quote) {
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
  body.scrollTop = 0;
  arrived();
}

function failed(error, passage) {
  if (!passage?.text) {
    body.replaceChildren(el("p.notice", { t: ["reader.failed", { message: error }] }));
    return;
  }
  const what = error.kind === "missing" ? { t: "reader.gone" }
    : { t: ["reader.failed", { message: error }] };
  body.replaceChildren(el("p.notice", what), alone(passage));
}

export function startReader() {
  const button = document.getElementById("reader-close");
  button.append(icon("close"));
  save.append(icon("save"));
  button.before(copyButton("reader.link", () => addressOf(route()), "link"));
  button.addEventListener("click", closeReader);
  onRoute(openNamed);
  overlay.addEventListener("change", veil);
}
