// The card that appears where a citation is pointed at or focused: its passage, marked in its document.

import { el, foreign } from "./dom.js";
import { locate, placeOf, reveal } from "./excerpt.js";
import { openDocument } from "./library.js";
import { breaksLines, isPlain, part } from "./prose.js";
import { passageTrust } from "./trust.js";

const BEFORE = 280; // UTF-16 units of the document around the passage
const AFTER = 420;
const APPEAR_MS = 90;
const LEAVE_MS = 160;

const card = document.getElementById("peek");
let timer = 0;
let anchor = null;

/** Has a citation's button show its passage. */
export function peekable(button, passage, collection) {
  const later = () => schedule(() => open(button, passage, collection), APPEAR_MS);
  button.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") later(); });
  button.addEventListener("pointerleave", () => schedule(closePeek, LEAVE_MS));
  button.addEventListener("focus", () => { if (button.matches(":focus-visible")) later(); });
  button.addEventListener("blur", () => schedule(closePeek, LEAVE_MS));
}

export const isPeeking = () => !card.hidden;

export function closePeek() {
  clearTimeout(timer);
  card.hidden = true;
  anchor = null;
}

function schedule(work, milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(work, milliseconds);
}

async function open(button, passage, collection) {
  if (!button.isConnected) return;
  anchor = button;
  const [plain, breaks] = [isPlain(passage.document_id), breaksLines(passage.document_id)];
  const body = el("div.peek-body", { tabindex: "0" }, part(passage.text, 0, passage.text.length, { start: 0, end: passage.text.length }, passage.quote, plain, breaks));
  card.replaceChildren(
    el("div.peek-head", {}, el("strong", {}, foreign(passage.title || passage.document_id)), placeOf(passage),
      passageTrust(passage)), body);
  card.hidden = false;
  place();
  reveal(body);
  const found = await openDocument(passage.document_id, collection).catch(() => null);
  if (!found || anchor !== button) return;
  const where = locate(found.text, passage);
  if (!where) return;
  const [from, to] = [where.start - BEFORE, where.end + AFTER];
  const text = part(found.text, from, to, where, passage.quote, plain, breaks);
  if (from > 0) text.prepend("…");
  if (to < found.text.length) text.append("…");
  body.replaceChildren(text);
  place();
  reveal(body);
}

/** Above the citation where there is room, else below it; never off the screen. */
function place() {
  const at = anchor.getBoundingClientRect();
  const size = card.getBoundingClientRect();
  const left = Math.min(Math.max(12, at.left + at.width / 2 - size.width / 2), innerWidth - size.width - 12);
  const above = at.top - size.height - 8;
  card.style.left = `${left}px`;
  card.style.top = `${above > 8 ? above : Math.min(at.bottom + 8, innerHeight - size.height - 8)}px`;
}

/** Stays with its citation while the page scrolls, as it does to bring a focused one into view. */
function follow() {
  const at = anchor.getBoundingClientRect();
  if (at.bottom < 0 || at.top > innerHeight) closePeek();
  else place();
}

export function startPeek() {
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", () => schedule(closePeek, LEAVE_MS));
  document.addEventListener("scroll", (event) => { if (!card.hidden && !card.contains(event.target)) follow(); }, true);
}
