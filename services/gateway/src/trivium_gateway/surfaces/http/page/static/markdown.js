// A small part of Markdown as elements: paragraphs, headings, lists, tables, code, bold and italic. Everything else, links
// and markup included, stays the text that it is, so that nothing in an answer can lead a reader anywhere.

import { el } from "./dom.js";

// Citations stand in the text between two characters that no text has: those of a private use area, removed before.
const OPEN = "\ue000";
const CLOSE = "\ue001";
const INLINE = /(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)|\*\*(?=\S)(.+?)\*\*|\*(?=[^\s*])([^*\n]+?)\*|\ue000(\d+)\ue001/gs;
const ITEM = /^(\s*)(?:[-*•]|(\d{1,4})[.)])\s+(.*)$/;
const ROW = /^\s*\|(.+)\|\s*$/;
const RULE = /^\s*(?:\|\s*)?:?-{3,}:?\s*(?:\|\s*:?-{3,}:?\s*)*(?:\|\s*)?$/;

/**
 * The text with its citations marked by their positions in the list, for `blocks`; and for each citation the words
 * before it. Spans count code points.
 */
export function marked(text, citations) {
  const points = Array.from(text, (point) => (point === OPEN || point === CLOSE ? "\ufffd" : point));
  let before = 0;
  const claims = citations.map(({ answer_span: { start, end } }) => {
    const words = points.slice(before, start).join("").split("\n").at(-1).trim();
    before = end;
    return words;
  });
  citations.forEach(({ answer_span: { start, end } }, at) => {
    if (end <= points.length) points.fill("", start, end)[start] = `${OPEN}${at}${CLOSE}`;
  });
  return { text: points.join(""), claims };
}

/** The text's blocks, as sources: one that did not change needs no new element. */
export function blocks(text) {
  const found = [];
  let fence = null;
  let current = [];
  const end = () => {
    if (current.length) found.push(current.join("\n"));
    current = [];
  };
  for (const line of text.split("\n")) {
    const opening = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (fence) {
      current.push(line);
      if (opening?.startsWith(fence) && line.trim() === opening) {
        fence = null;
        end();
      }
    } else if (opening) {
      end();
      fence = opening;
      current.push(line);
    } else if (/^#{1,6}\s/.test(line)) {
      end();
      found.push(line);
    } else if (line.trim() === "") {
      end();
    } else {
      current.push(line);
    }
  }
  end();
  return found;
}

/** A block as an element; `cite(position)` makes those of citations. */
export function element(block, cite) {
  const lines = block.split("\n");
  const heading = /^(#{1,6})\s+(.*)$/.exec(block);
  if (heading && lines.length === 1) return el("h4", {}, ...inline(heading[2], cite));
  if (/^\s*(```|~~~)/.test(block)) {
    const last = /^\s*(```|~~~)/.test(lines.at(-1)) && lines.length > 1 ? lines.length - 1 : lines.length;
    return el("pre", { tabindex: "0" }, el("code", {}, lines.slice(1, last).join("\n")));
  }
  if (lines.length > 1 && ROW.test(lines[0]) && RULE.test(lines[1])) return table(lines, cite);
  if (ITEM.test(lines[0])) return list(lines, cite);
  const paragraph = el("p");
  lines.forEach((line, at) => {
    if (at) paragraph.append(el("br"));
    paragraph.append(...inline(line, cite));
  });
  return paragraph;
}

function list(lines, cite) {
  const ordered = ITEM.exec(lines[0])[2];
  const result = el(ordered ? "ol" : "ul", ordered && ordered !== "1" ? { start: ordered } : {});
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item) result.append(el(item[1].length > 1 ? "li.nested" : "li", {}, ...inline(item[3], cite)));
    else result.lastChild.append(" ", ...inline(line.trim(), cite));
  }
  return result;
}

function table(lines, cite) {
  const cells = (line) => (ROW.exec(line)?.[1] ?? line).split(/(?<!\\)\|/).map((cell) => cell.trim());
  const row = (line, tag) => el("tr", {}, ...cells(line).map((cell) => el(tag, {}, ...inline(cell, cite))));
  return el("div.scroll", { tabindex: "0" }, el("table", {},
    el("thead", {}, row(lines[0], "th")), el("tbody", {}, ...lines.slice(2).map((line) => row(line, "td")))));
}

function inline(text, cite) {
  const nodes = [];
  let at = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, , code, strong, emphasis, position] = match;
    // A citation stays on the line of the words before it.
    if (match.index > at) nodes.push(text.slice(at, match.index).replace(/ $/, position ? "\u00a0" : " "));
    if (code !== undefined) nodes.push(el("code", {}, code.replace(/[\ue000\ue001]/g, "")));
    else if (strong !== undefined) nodes.push(el("strong", {}, ...inline(strong, cite)));
    else if (emphasis !== undefined) nodes.push(el("em", {}, ...inline(emphasis, cite)));
    else nodes.push(cite(Number(position)));
    at = match.index + whole.length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}
