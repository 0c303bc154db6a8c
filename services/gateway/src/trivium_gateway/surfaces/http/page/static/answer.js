// One turn of the conversation: a question, and its answer as it grows.

import { announce, el, foreign } from "./dom.js";
import { feedback } from "./feedback.js";
import { language, t } from "./i18n.js";
import { blocks, element, marked } from "./markdown.js";
import * as notices from "./notices.js";
import { peekable } from "./peek.js";
import { placeOf } from "./excerpt.js";
import { openReader } from "./reader.js";
import { why } from "./why.js";

/** The view of a turn. */
export class Turn {
  #text = "";
  #citations = [];
  #claims = [];
  #passages = [];
  #drawn = [];
  #drawing = 0;

  /**
   * @param {string} question
   * @param {string} collection where it is asked
   * @param {{again: Function, addDocuments: Function, grown: Function}} actions
   */
  constructor(question, collection, actions) {
    this.question = question;
    this.collection = collection;
    this.actions = actions;
    this.answer = "";
    this.progress = el("p.progress", { t: "answer.searching" });
    this.before = el("div.before");
    this.body = el("div.answer", { dir: "auto" });
    this.after = el("div.after");
    this.element = el("article.turn", {},
      el("h2.question", { dir: "auto", tabindex: "-1" }, question), this.before, this.progress, this.body, this.after);
    this.element.setAttribute("aria-busy", "true");
  }

  sources({ passages, search_query }) {
    this.#passages = passages;
    if (search_query) this.before.append(el("p.quiet.searched", { t: ["answer.searched", { query: search_query }] }));
    this.progress = this.#replaceProgress(el("p.progress", { t: ["answer.writing", { count: passages.length }] }));
  }

  delta({ text, citations }) {
    this.#text += text;
    this.#citations.push(...citations);
    this.#drawing ||= requestAnimationFrame(() => this.#draw());
  }

  summary(summary) {
    this.#text = summary.answer;
    this.#citations = summary.citations;
    this.#passages = summary.passages;
    this.answer = summary.answer;
    this.#draw();
    this.#end();
    if (summary.refused) this.after.append(notices.refused(this.actions.addDocuments));
    else if (!summary.answerable) this.after.append(notices.doubtful(summary.reason));
    const doubted = new Set(this.#citations.filter(({ verdict }) => verdict !== "supported").map(({ index }) => index));
    if (doubted.size) this.after.append(notices.unsupported([...doubted]));
    if (summary.degraded.length) this.before.append(notices.degraded(summary.degraded));
    if (summary.passages.length) this.after.append(this.#sourceList());
    if (summary.dropped_passages.length) this.after.append(notices.dropped(summary.dropped_passages.length));
    this.after.append(feedback(summary, this.question, this.collection), why(summary));
    announce(t("answer.ready", { answer: this.body.innerText }));
  }

  failed(error) {
    this.#draw();
    this.#end();
    const shown = error.kind === "stopped" ? notices.stopped(!this.#text, this.actions.again)
      : notices.failure(error, this.actions.again);
    this.after.append(shown);
    if (this.#text) {
      this.element.classList.add("partial");
      this.after.append(this.#sourceList());
    }
    announce(shown.innerText);
  }

  #end() {
    cancelAnimationFrame(this.#drawing);
    this.progress.remove();
    this.element.removeAttribute("aria-busy");
  }

  #replaceProgress(next) {
    this.progress.replaceWith(next);
    return next;
  }

  /** Draws what changed: blocks that stay keep their elements, and so the focus and the pointer on their citations. */
  #draw() {
    this.#drawing = 0;
    const { text, claims } = marked(this.#text, this.#citations);
    this.#claims = claims;
    const wanted = blocks(text);
    wanted.forEach((block, at) => {
      if (this.#drawn[at] === block) return;
      const drawn = element(block, (position) => this.#citation(position));
      if (at < this.body.children.length) this.body.children[at].replaceWith(drawn);
      else this.body.append(drawn);
    });
    while (this.body.children.length > wanted.length) this.body.lastChild.remove();
    this.#drawn = wanted;
    this.actions.grown(this.body);
  }

  #citation(position) {
    const { index } = this.#citations[position];
    const found = this.#passages[index - 1];
    if (!found) return `[${index}]`;
    const passage = { ...found, claim: this.#claims[position] };
    const title = passage.title || passage.document_id;
    const button = el("button.cite", { type: "button", onclick: () => this.#open(passage, button) }, String(index));
    button.setAttribute("aria-label", t("answer.source", { index, title }));
    peekable(button, passage, this.collection);
    return button;
  }

  #open(passage, from) {
    openReader({ id: passage.document_id, title: passage.title, collection: this.collection, passage }, from);
  }

  #sourceList() {
    const cited = new Set(this.#citations.map(({ index }) => index));
    return el("section.sources", {}, el("h3", { t: "sources" }), el("ol", {}, ...this.#passages.map((passage, at) => {
      const score = passage.score.toLocaleString(language(), { maximumFractionDigits: 2 });
      const meter = el("span.meter", { "aria-hidden": "true" }, el("span"));
      meter.firstChild.style.inlineSize = `${passage.score * 100}%`;
      const button = el("button.source", { type: "button", onclick: () => this.#open(passage, button) },
        el("span.number", {}, String(at + 1)),
        el("span.name", {}, foreign(passage.title || passage.document_id), placeOf(passage)), meter,
        el("span.unseen", { t: ["sources.score", { score }] }),
        el("span.snippet", { dir: "auto" }, snippet(passage)));
      return el(cited.has(at + 1) ? "li.cited" : "li", {}, button);
    })));
  }
}

/** How a passage begins, without the marks of its headings and without its title. */
function snippet({ text, title }) {
  const plain = text.slice(0, 600).replace(/^#{1,6}\s+/gm, "").trimStart();
  return (title && plain.startsWith(title) ? plain.slice(title.length) : plain).trimStart().slice(0, 260);
}
