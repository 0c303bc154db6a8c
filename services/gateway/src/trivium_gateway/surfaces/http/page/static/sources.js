// What an answer rests on: its passages under the documents that they are from, the first two of these at once.

import { el, foreign } from "./dom.js";
import { oneLine, placeOf } from "./excerpt.js";
import { shortName } from "./library.js";
import { passageTrust } from "./trust.js";

const SHOWN = 2; // documents, and passages of each

/**
 * The list of sources.
 * @param {object[]} passages in the order of their numbers
 * @param {Set<number>} cited the numbers that the answer cites
 * @param {string} title the key of its heading
 * @param {(passage: object, from: Element) => void} open
 */
export function sources(passages, cited, title, open) {
  const numbered = passages.map((passage, at) => ({ passage, number: at + 1, isCited: cited.has(at + 1) }));
  const groups = [...Map.groupBy(numbered, ({ passage }) => `${passage.collection}\n${passage.document_id}`).values()];
  const several = new Set(passages.map(({ collection }) => collection)).size > 1;
  // What is cited comes first; among the others their own order holds.
  groups.sort((one, other) => other.some(isCited) - one.some(isCited));
  const list = el("ol.source-list", {}, ...groups.map((group, at) => document_(group, at >= SHOWN, several, open)));
  const hidden = list.querySelectorAll("[data-more]").length;
  const more = hidden ? el("button.plain.more-sources", { type: "button", "aria-expanded": "false", t: ["sources.more", { count: hidden }] }) : null;
  more?.addEventListener("click", () => {
    for (const one of list.querySelectorAll("[data-more]")) one.hidden = false;
    const first = list.querySelector("[data-more]");
    (first.matches("button") ? first : first.querySelector("button")).focus();
    more.remove();
  });
  return el("section.sources", { label: title }, el("h3", { t: title }), list, more);
}

const isCited = (one) => one.isCited;

function document_(group, isLater, several, open) {
  const [{ passage }] = group;
  const sorted = group.toSorted((one, other) => other.isCited - one.isCited);
  const rows = sorted.map((one, at) => row(one, !isLater && at >= SHOWN, open));
  return el("li.source-document", isLater ? { "data-more": true, hidden: true } : {},
    el("p.source-title", {}, foreign(passage.title || shortName(passage.document_id)),
      several ? el("span.quiet", {}, " ", foreign(passage.collection)) : null), ...rows);
}

function row({ passage, number, isCited: cited }, isLater, open) {
  const title = passage.title || shortName(passage.document_id);
  const place = placeOf(passage);
  const button = el(cited ? "button.source.cited" : "button.source", {
    type: "button", label: ["answer.source", { index: number, title }], onclick: () => open(passage, button),
    ...(isLater ? { "data-more": true, hidden: true } : {}),
  }, el("span.number", {}, String(number)), el("span.snippet", { dir: "auto" }, place, place.textContent && " · ", snippet(passage)), passageTrust(passage));
  return button;
}

/** How a passage begins, without its headings, on one line. */
function snippet({ text, title }) {
  const lines = text.slice(0, 900).split("\n").filter((line) => !/^\s*#{1,6}\s/.test(line) && line.trim() !== title);
  return oneLine(lines.join("\n")).slice(0, 260);
}
