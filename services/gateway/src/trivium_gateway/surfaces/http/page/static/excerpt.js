// A part of a document as text, with a passage marked in it. Of a long document only what is near the passage becomes
// part of the page; the rest is shown on demand, so that the longest document opens as fast as a short one.

import { el, foreign } from "./dom.js";
import { t } from "./i18n.js";
import { utf16Offsets, whole } from "./spans.js";

/**
 * Where a passage stands in its document's text, in UTF-16 units; null if the text has changed so that it is nowhere.
 * @param {string} text the stored text
 * @param {{text: string, span: {start: number, end: number}}} passage its span in code points
 */
export function locate(text, passage) {
  const [start, end] = utf16Offsets(text, passage.span.start, passage.span.end);
  if (!passage.text || text.slice(start, end).trim() === passage.text.trim()) return { start, end };
  const found = text.indexOf(passage.text.trim());
  return found < 0 ? null : { start: found, end: found + passage.text.trim().length };
}

/** Where in its document a passage stands, for people: "page 12, Limits"; empty where nothing is known. */
export function placeOf({ page, heading, title }) {
  const last = heading?.at(-1);
  const shown = last && last !== title ? last : "";
  return el("bdi.place", {},
    page ? el("span", { t: ["place.page", { page }] }) : "", page && shown ? ", " : "", shown ? foreign(shown) : "");
}

/** Text on one line, without the marks of Markdown: cells of tables stand apart, and what rules them off is left out. */
export const oneLine = (text) => text.split("\n").filter((line) => !line.includes("-") || /[^\s|:-]/.test(line)).join("\n")
  .replace(/(?<=[^\s|])[ \t]*\|[ \t]*(?=[^\s|])/g, " · ").replace(/[*`|>#]+/g, " ").replace(/\s+/g, " ").trim();

/** The text from `from` to `to`, moved off surrogate pairs, with `[start, end)` marked, and in it what supports the answer most. */
export function excerpt(text, from, to, place, quote) {
  const [begin, finish] = [whole(text, from), whole(text, to)];
  const body = el("div.text", { dir: "auto" });
  if (!place) {
    body.append(text.slice(begin, finish));
    return body;
  }
  const mark = el("mark", { tabindex: "-1" });
  const passage = text.slice(place.start, place.end);
  mark.append(el("bdi.unseen", {}, t("reader.passage")));
  if (quote) {
    const [start, end] = utf16Offsets(passage, quote.start, quote.end);
    mark.append(passage.slice(0, start), el("strong.quote", {}, passage.slice(start, end)), passage.slice(end));
  } else mark.append(passage);
  body.append(text.slice(begin, place.start), mark, text.slice(place.end, finish));
  return body;
}

/** A passage as it stands on the page of a citation's quote: that may be a later one than the passage, and its heading, begin on. */
export function onPage(passage, citation) {
  const page = citation?.boxes?.[0]?.page ?? passage.page;
  return page === passage.page ? passage : { ...passage, page, heading: [] };
}

/** A citation's passage, with what supports the answer most as a range in it, in code points. */
export function cited(passage, citation) {
  const { quote } = citation;
  const { start, end } = passage.span;
  const isWithin = quote && quote.start >= start && quote.end <= end && quote.start < quote.end;
  return { ...onPage(passage, citation), quote: isWithin ? { start: quote.start - start, end: quote.end - start } : null };
}

/** Brings what is marked into view, within the element that scrolls. */
export function reveal(scroller) {
  const mark = scroller.querySelector(".quote") ?? scroller.querySelector("mark");
  const [at, frame] = [mark.getBoundingClientRect(), scroller.getBoundingClientRect()];
  const room = Math.max(24, (frame.height - at.height) / 2);
  scroller.scrollTop += at.top - frame.top - Math.min(room, frame.height / 3);
}
