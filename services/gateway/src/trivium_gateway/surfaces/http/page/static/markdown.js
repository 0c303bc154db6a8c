// Markdown as language models write it, as elements. Markup and addresses other than http(s) stay the text that they are, and no
// picture is ever loaded: nothing in an answer or a document acts by itself.

import { copyButton } from "./clipboard.js";
import { el } from "./dom.js";
import { inline } from "./inline.js";
import { formula } from "./math.js";

const FENCE = /^\s*(```+|~~~+)\s*([\w+#.-]*)/;
const HEADING = /^\s{0,3}(#{1,6})\s+(.*)$/;
const ITEM = /^(\s*)([-*+•]|(\d{1,4})[.)])\s+(.*)$/;
const QUOTE = /^\s{0,3}> ?/;
// Citations may stand after a row's end: they are of its last cell.
const ROW = /^\s*\|(.+)\|\s*((?:\ue000\d+\ue001\s*)*)$/;
const RULE = /^\s*(?:\|\s*)?:?-+:?\s*(?:\|\s*:?-+:?\s*)*(?:\|\s*)?$/;
const LINE = /^\s{0,3}(?:-{3,}|\*{3,}|_{3,})\s*$/;
const MATH = new Map([["$$", "$$"], ["\\[", "\\]"]]);
const DEEPEST = 12; // lists and quotations within each other

/** The text's blocks, as sources: one that did not change needs no new element. */
export const blocks = (text) => ranges(text).map(({ source }) => source);

/** The blocks with where they stand in the text, in UTF-16 units. */
export function ranges(text) {
  const found = [];
  const lines = text.split("\n");
  let start = 0;
  for (let at = 0; at < lines.length;) {
    const last = lines[at].trim() === "" ? at + 1 : endOf(lines, at);
    const whole = lines.slice(at, last).join("\n");
    const source = whole.trimEnd();
    if (source) found.push({ source, start, end: start + source.length });
    start += whole.length + 1;
    at = last;
  }
  return found;
}

/** Where the block ends that begins with a line. */
function endOf(lines, at) {
  const first = lines[at];
  const fence = FENCE.exec(first)?.[1];
  if (fence) return after(lines, at, (line) => line.trim().startsWith(fence) && line.trim().replaceAll(fence[0], "") === "");
  const closing = MATH.get(first.trim().slice(0, 2));
  if (closing) return first.trim().length > 3 && first.trim().endsWith(closing) ? at + 1 : after(lines, at, (line) => line.trim().endsWith(closing));
  if (HEADING.test(first) || LINE.test(first)) return at + 1;
  if (ITEM.test(first)) return endOfList(lines, at);
  const isTable = ROW.test(first) && RULE.test(lines[at + 1] ?? "");
  const isQuote = QUOTE.test(first);
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && (isTable ? lines[end].includes("|") : isQuote ? QUOTE.test(lines[end]) : !begins(lines, end))) end += 1;
  return end;
}

function after(lines, at, closes) {
  let end = at + 1;
  while (end < lines.length && !closes(lines[end])) end += 1;
  return Math.min(end + 1, lines.length);
}

/** Whether a line begins a block of its own, and does not go on with the paragraph before it. */
function begins(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || ITEM.test(line) || QUOTE.test(line) || LINE.test(line) || MATH.has(line.trim().slice(0, 2)) ||
    (ROW.test(line) && RULE.test(lines[at + 1] ?? ""));
}

const indent = (line) => line.length - line.trimStart().length;
const isNumbered = (line) => ITEM.exec(line)?.[3] !== undefined;

/** A list goes on over blank lines, as long as items of its kind or indented lines follow. */
function endOfList(lines, at) {
  const [base, numbered] = [indent(lines[at]), isNumbered(lines[at])];
  let end = at + 1;
  while (end < lines.length) {
    if (FENCE.test(lines[end]) && indent(lines[end]) > base) {
      end = endOf(lines, end);
      continue;
    }
    let next = end;
    while (next < lines.length && lines[next].trim() === "") next += 1;
    if (next === lines.length) break;
    const line = lines[next];
    const isItem = ITEM.test(line) && !LINE.test(line);
    const goesOn = indent(line) > base + 1 || (isItem && isNumbered(line) === numbered) || (next === end && !isItem && !begins(lines, next));
    if (!goesOn) break;
    end = next + 1;
  }
  return end;
}

/**
 * A block as an element; `cite(position)` makes those of citations.
 * @param {boolean} breaks whether each line stands for itself, as in what people and models write, and not as in Markdown
 */
export function element(block, cite, breaks = true, depth = 0) {
  const lines = block.split("\n");
  const fence = FENCE.exec(lines[0]);
  if (fence) return code(lines, fence);
  if (MATH.has(block.trim().slice(0, 2))) return formula("p.math.block", block.trim().slice(2).replace(/(?:\$\$|\\\])$/, "").trim(), true);
  const heading = HEADING.exec(block);
  if (heading && lines.length === 1) return el(`h${Math.min(heading[1].length + 2, 6)}`, {}, ...inline(heading[2].replace(/\s#+$/, ""), cite));
  if (LINE.test(block)) return el("hr");
  if (lines.length > 1 && ROW.test(lines[0]) && RULE.test(lines[1])) return table(lines, cite);
  if (depth < DEEPEST && ITEM.test(lines[0])) return list(lines, cite, breaks, depth);
  if (depth < DEEPEST && QUOTE.test(lines[0])) {
    return el("blockquote", {}, ...inner(lines.map((line) => line.replace(QUOTE, "")), cite, breaks, depth));
  }
  const paragraph = el("p");
  if (!breaks) lines.splice(0, lines.length, ...lines.join("\n").split(/(?: {2}|\\)\n/).map((line) => line.replaceAll("\n", " ")));
  lines.forEach((line, at) => {
    if (at) paragraph.append(el("br"));
    paragraph.append(...inline(line.trim(), cite));
  });
  return paragraph;
}

const inner = (lines, cite, breaks, depth) => blocks(lines.join("\n")).map((block) => element(block, cite, breaks, depth + 1));

function code(lines, [whole, fence, name]) {
  const isClosed = lines.length > 1 && lines.at(-1).trim().startsWith(fence);
  const margin = indent(whole);
  const text = lines.slice(1, isClosed ? -1 : undefined).map((line) => line.slice(Math.min(margin, indent(line)))).join("\n");
  return el("div.code", {},
    el("div.code-head", {}, el("span", {}, name), copyButton("code.copy", () => text)),
    el("pre", { tabindex: "0", dir: "ltr" }, el("code", {}, text)));
}

/** A list with the numbers that it was given; what is indented in an item belongs to it. */
function list(lines, cite, breaks, depth) {
  const [base, numbered] = [indent(lines[0]), isNumbered(lines[0])];
  const items = [];
  for (const line of lines) {
    const item = indent(line) <= base + 1 && ITEM.exec(line);
    if (item && isNumbered(line) === numbered) items.push({ number: Number(item[3]), lines: [item[4]], width: line.length - item[4].length });
    else items.at(-1).lines.push(line.slice(Math.min(items.at(-1).width, indent(line))));
  }
  let expected = numbered ? items[0].number : 0;
  const drawn = items.map((item) => {
    const isOther = numbered && item.number > expected;
    if (isOther) expected = item.number;
    expected += 1;
    const [first, ...rest] = inner(item.lines, cite, breaks, depth);
    const content = first?.localName === "p" && !first.className ? [...first.childNodes, ...rest] : [first, ...rest];
    return el("li", isOther ? { value: String(item.number) } : {}, ...content);
  });
  return el(numbered ? "ol" : "ul", numbered && items[0].number !== 1 ? { start: String(items[0].number) } : {}, ...drawn);
}

function table(lines, cite) {
  const cells = (line) => (line.match(ROW)?.slice(1).join("") ?? line.trim()).split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  const sides = cells(lines[1]).map((rule) => (rule.endsWith(":") ? rule.startsWith(":") ? "middle" : "end" : ""));
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell, at) => el(sides[at] ? `${tag}.${sides[at]}` : tag, {}, ...inline(cell, cite))));
  return el("div.scroll", { tabindex: "0" }, el("table", {},
    el("thead", {}, row(lines[0], "th")), el("tbody", {}, ...lines.slice(2).map((line) => row(line, "td")))));
}
