// What stands within a line of Markdown: emphasis, code, formulas, links, and citations.

import { el } from "./dom.js";
import { webAddress } from "./library.js";
import { formula } from "./math.js";

// Citations stand in the text between two characters that no text has: those of a private use area, removed before.
const OPEN = "\ue000";
const CLOSE = "\ue001";

// Each is tried where it may begin, the first ones first. Lengths are bounded, so that nothing is read again and again.
const KINDS = [
  /\\(?<escaped>[\\`*_{}#+.!|~$>-])/s,
  /(?<!`)`(?!`)(?<code>[^`]{1,2000})`(?!`)/s,
  /(?<!`)``(?!`)(?<code2>.{1,1000}?)(?<!`)``(?!`)/s,
  /\$\$(?<display>[^$]{1,500})\$\$/s,
  /\\\((?<round>.{1,500}?)\\\)/s,
  /\\\[(?<square>.{1,500}?)\\\]/s,
  /\$(?=[^\s$])(?<dollar>[^$\n]{1,200})(?<=[^\s\\])\$(?!\d)/s,
  /!?\[(?<words>[^\[\]\n]{1,300})\]\((?<address>https?:\/\/[^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200})?)(?: "[^"\n]{0,200}")?\)/s,
  /<(?<pointed>https?:\/\/[^\s<>\ue000]{1,2000})>/s,
  /(?<![\w/])(?<bare>https?:\/\/[^\s<>"'()\[\]*`\ue000\u3001\u3002\uff0c\uff1b\uff09]{0,2000}[^\s<>"'()\[\]*`.,;:!?\ue000\u3001\u3002\uff0c\uff1b\uff09])/s,
  /\*\*(?=\S)(?<strong>.{1,600}?)\*\*(?!\*)/s,
  /(?<!\w)__(?=\S)(?<strong2>.{1,500}?)__(?!\w)/s,
  /\*(?=[^\s*])(?<emphasis>[^*\n]+?)\*/s,
  /(?<!\w)_(?=[^\s_])(?<emphasis2>[^_\n]{1,500})_(?!\w)/s,
  /~~(?=\S)(?<struck>.{1,500}?)~~/s,
  /\ue000(?<position>\d+)\ue001/s,
];
const INLINE = new RegExp(KINDS.map(({ source }) => source).join("|"), "gs");

/**
 * The text with its citations marked by their positions in the list, for `blocks`. Spans count code points; one that is empty
 * stands where a sentence ends that was written without a mark.
 */
export function marked(text, citations) {
  const points = Array.from(text, (point) => (point === OPEN || point === CLOSE ? "\ufffd" : point));
  citations.forEach(({ answer_span: { start, end } }, at) => {
    if (end > points.length) return;
    const mark = `${OPEN}${at}${CLOSE}`;
    const covered = start < end ? "" : points[start] ?? "";
    points.fill("", start, end);
    points[start] = mark + covered;
  });
  return points.join("");
}

// What a citation stays on a line with: the word before it, and the punctuation after.
const WORD_BEFORE = /(?:[\u2e80-\uffef]{1,2}|[^\s\u2e80-\uffef]{0,24}) ?$/;
const PUNCTUATION = /^[.,;:!?)\]\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f\u060c\u061b\u061f]{0,3}(?<!!(?=\[))/;

/** A line as nodes; `cite(position)` makes those of citations. */
export function inline(text, cite) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const before = text.slice(at, match.index);
    at = match.index + match[0].length;
    if (match.groups.position === undefined) {
      if (before) nodes.push(before);
      nodes.push(node(match[0], match.groups, cite));
    } else {
      at += cited(nodes, before, cite(Number(match.groups.position)), text.slice(at));
    }
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

/** Adds a citation, together with what must not be parted from it; how many characters that takes of those after it. */
function cited(nodes, before, citation, after) {
  const word = WORD_BEFORE.exec(before)[0];
  if (before.length > word.length) nodes.push(before.slice(0, before.length - word.length));
  const punctuation = PUNCTUATION.exec(after)?.[0] ?? "";
  const last = nodes.at(-1);
  const joined = !before && last?.className === "joined" ? last : el("span.joined");
  if (joined !== last) nodes.push(joined);
  joined.append(word.replace(/ $/, "\u00a0"), citation, punctuation);
  return punctuation.length;
}

function node(whole, found, cite) {
  const within = (words) => inline(words, cite);
  if (found.position !== undefined) return cite(Number(found.position));
  if (found.escaped !== undefined) return found.escaped;
  const code = found.code ?? found.code2;
  if (code !== undefined) return el("code", { dir: "ltr" }, unmarked(code));
  const tex = found.display ?? found.round ?? found.square ?? found.dollar;
  if (tex !== undefined) return formula("span.math", unmarked(tex), found.display !== undefined || found.square !== undefined);
  const address = found.address ?? found.pointed ?? found.bare;
  if (address !== undefined) return link(address, found.words === undefined ? [address] : within(found.words), whole);
  if (found.struck !== undefined) return el("s", {}, ...within(found.struck));
  if (found.strong !== undefined || found.strong2 !== undefined) return el("strong", {}, ...within(found.strong ?? found.strong2));
  return el("em", {}, ...within(found.emphasis ?? found.emphasis2));
}

const unmarked = (text) => text.replace(/[\ue000\ue001]/g, "");

/** A link says where it leads before it is followed, and tells nobody where it was. */
function link(address, words, whole) {
  const href = webAddress(unmarked(address));
  return href ? el("a", { href, title: href, rel: "noopener noreferrer nofollow", target: "_blank" }, ...words) : whole;
}
