// Questions to go on with, made of the headings that the search came upon: no model has to think of them.

import { el } from "./dom.js";
import { t } from "./i18n.js";

const MOST = 3;
const LONGEST = 80; // UTF-16 units of a heading that reads well in a question

/**
 * Questions about what stands beside the answer; null if there is nothing else.
 * @param {object[]} passages
 * @param {Set<number>} cited the numbers that the answer cites
 * @param {string} asked what was asked
 * @param {(question: string) => void} ask
 */
export function related(passages, cited, asked, ask) {
  const known = new Set(passages.filter((_, at) => cited.has(at + 1)).map(topic));
  const topics = new Map();
  passages.forEach((passage, at) => {
    const about = topic(passage);
    if (cited.has(at + 1) || !about || known.has(about) || about.length > LONGEST) return;
    if (!asked.toLowerCase().includes(about.toLowerCase())) topics.set(about, passage.title);
  });
  if (!topics.size) return null;
  const questions = [...topics].slice(0, MOST).map(([about, title]) => questionAbout(about, title));
  return el("section.related", { label: "related" }, el("h3", { t: "related" }), chips(questions, ask));
}

/** What a document says about something in it; without a document's title, or about all of it, what is said. */
export const questionAbout = (about, title) => t(title && title !== about ? "related.within" : "related.about", { about, title });

/** Questions to click on. */
export const chips = (questions, ask) => el("ul", {}, ...questions.map((question) =>
  el("li", {}, el("button.chip", { type: "button", dir: "auto", onclick: () => ask(question) }, question))));

const topic = ({ heading, title }) => heading?.at(-1) || title || "";
