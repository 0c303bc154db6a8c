// A part of a document as it is meant: headings, lists and tables instead of the Markdown that is stored, with the blocks of a
// passage marked, and in them the words that support an answer most.

import { el } from "./dom.js";
import { excerpt } from "./excerpt.js";
import { t } from "./i18n.js";
import { element, ranges } from "./markdown.js";
import { utf16Offsets, whole } from "./spans.js";

const PLAIN = new Set(document.documentElement.dataset.plainEndings.split(" "));
const MARKDOWN = /\.(?:md|markdown|mdown|mkd|mdx|ipynb)$/i;
const PAGE_END = "\f";
const FARTHEST = 4_000; // UTF-16 units to the next blank line, else to the next line

/** Whether a document is to be shown as it is written: text and source code. */
export function isPlain(id) {
  return PLAIN.has(/\.\w{1,12}$/.exec(id)?.[0].toLowerCase());
}

/** Whether the lines of a document's paragraphs stand for themselves, which in Markdown they do not. */
export const breaksLines = (id) => !MARKDOWN.test(id);

/**
 * A part of a document.
 * @param {string} text the stored text
 * @param {number} from where the part begins, and `to` where it ends, in UTF-16 units; moved to where blocks do
 * @param {{start: number, end: number} | null} place the passage to mark
 * @param {{start: number, end: number} | null} quote what to mark in it, in code points of the passage
 * @param {boolean} plain whether to show it as it is stored
 * @param {boolean} breaks whether its lines stand for themselves
 */
export function part(text, from, to, place, quote, plain, breaks = false) {
  if (plain) return excerpt(text, from, to, place, quote);
  const [begin, end] = [blockStart(text, from), blockEnd(text, to)];
  const body = el("div.text.prose", { dir: "auto" });
  let page = text.slice(0, begin).split(PAGE_END).length;
  let at = begin;
  let mark = null;
  let ends = []; // of pages: they stand where the text goes on, within what is marked if that does
  for (const piece of text.slice(begin, end).split(PAGE_END)) {
    if (at > begin) ends.push(el("p.page-end.quiet", { dir: "auto", t: ["place.page", { page: page += 1 }] }));
    for (const { source, start, end: stop } of ranges(piece)) {
      const isMarked = place && at + start < place.end && at + stop > place.start;
      (isMarked && mark ? mark : body).append(...ends);
      ends = [];
      if (isMarked && !mark) body.append(mark = el("mark.place", { tabindex: "-1" }, el("bdi.unseen", {}, t("reader.passage"))));
      (isMarked ? mark : body).append(element(source, () => "", breaks));
    }
    at += piece.length + PAGE_END.length;
  }
  body.append(...ends);
  if (mark && quote) highlight(mark, quoted(text.slice(place.start, place.end), quote));
  return body;
}

function blockStart(text, from) {
  if (from <= 0) return 0;
  const block = Math.max(text.lastIndexOf("\n\n", from), text.lastIndexOf(PAGE_END, from));
  const found = from - block > FARTHEST ? text.lastIndexOf("\n", from) : block;
  return from - found > FARTHEST ? whole(text, from) : found + 1;
}

function blockEnd(text, to) {
  if (to >= text.length) return text.length;
  const found = text.slice(to, to + FARTHEST).search(/\n\n|\f/);
  return found < 0 ? whole(text, to + FARTHEST) : to + found;
}

/** The words of a quote as they are shown, without any white space and without the marks of Markdown. */
function quoted(passage, quote) {
  const source = passage.slice(...utf16Offsets(passage, quote.start, quote.end));
  const shown = ranges(source).map((one) => element(one.source, () => "").textContent).join("");
  return compact(/^\s*\|/.test(source) ? shown.replaceAll("|", "") : shown);
}

const compact = (text) => text.replace(/\s+/g, "");

/** Marks words where they stand, over as many elements as they go. */
function highlight(root, words) {
  const spots = [];
  let all = "";
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest(".unseen, .code-head")) continue;
    for (let at = 0; at < node.data.length; at += 1) {
      if (compact(node.data[at]) === "") continue;
      all += node.data[at];
      spots.push([node, at]);
    }
  }
  const first = words ? all.indexOf(words) : -1;
  if (first < 0) return;
  const found = spots.slice(first, first + words.length);
  for (const [node, own] of [...Map.groupBy(found, ([one]) => one)].reverse()) {
    const range = document.createRange();
    range.setStart(node, own[0][1]);
    range.setEnd(node, own.at(-1)[1] + 1);
    range.surroundContents(el("strong.quote"));
  }
}
