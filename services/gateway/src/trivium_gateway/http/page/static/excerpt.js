// A part of a document as text, with a passage marked in it. Of a long document only what is near the passage becomes
// part of the page; the rest is shown on demand, so that the longest document opens as fast as a short one.

import { el } from "./dom.js";
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

/** The text from `from` to `to`, moved off surrogate pairs, with `[start, end)` marked. */
export function excerpt(text, from, to, place) {
  const [begin, finish] = [whole(text, from), whole(text, to)];
  const body = el("div.text", { dir: "auto" });
  if (!place) {
    body.append(text.slice(begin, finish));
    return body;
  }
  const mark = el("mark", { tabindex: "-1" });
  mark.append(el("span.unseen", {}, t("reader.passage")), text.slice(place.start, place.end));
  body.append(text.slice(begin, place.start), mark, text.slice(place.end, finish));
  return body;
}
