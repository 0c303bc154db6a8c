// One turn of the conversation: a question, and its answer as it grows.

import { actions } from "./actions.js";
import { ApiError } from "./api.js";
import { el } from "./dom.js";
import { editable } from "./editing.js";
import { cited, onPage } from "./excerpt.js";
import { show } from "./i18n.js";
import { marked } from "./inline.js";
import { blocks, element } from "./markdown.js";
import * as notices from "./notices.js";
import { peekable } from "./peek.js";
import { openReader } from "./reader.js";
import { related } from "./related.js";
import { sources } from "./sources.js";
import { why } from "./why.js";

/** The view of a turn. */
export class Turn {
  #text = "";
  #citations = [];
  #passages = [];
  #drawn = [];
  #drawing = 0;
  #summary = null;
  #error = null;

  /**
   * @param {string} question
   * @param {string[]} collections where it is asked
   * @param {string} filtered of which documents, in words; empty for all
   * @param {{again: Function, edit: Function, ask: Function, link: Function, addDocuments: Function, grown: Function}} can
   *   what a turn can have done: be asked again, as it was or changed, have another question asked, and so on
   */
  constructor(question, [collection, ...also], filtered, can) {
    this.question = question;
    this.collection = collection;
    this.also = also;
    this.filtered = filtered;
    this.can = can;
    this.answer = "";
    this.before = el("div.before", {},
      also.length ? el("p.quiet", { t: ["answer.asked_in", { names: [collection, ...also].join(", ") }] }) : null, filtered ? el("p.quiet", { t: ["answer.filtered", { filter: filtered }] }) : null);
    this.body = el("div.answer.prose", { dir: "auto" });
    this.progress = el("p.progress", { t: "answer.searching" });
    this.after = el("div.after");
    this.element = el("article.turn", {}, editable(question, can.edit), this.before, this.body, this.progress, this.after);
    this.element.setAttribute("aria-busy", "true");
  }

  sources({ passages, search_query }) {
    this.#passages = passages;
    if (search_query) this.before.append(el("p.quiet.searched", { t: ["answer.searched", { query: search_query }] }));
    show(this.progress, "answer.writing", { count: passages.length });
  }

  delta({ text, citations }) {
    this.#text += text;
    this.#citations.push(...citations);
    this.#drawing ||= requestAnimationFrame(() => this.#draw());
  }

  /** What is kept of the turn, for `restore`. */
  get record() {
    const answered = this.#summary ? { summary: this.#summary }
      : { text: this.#text, citations: this.#citations, passages: this.#passages, error: this.#error };
    return { question: this.question, collection: this.collection, also: this.also, filtered: this.filtered, ...answered };
  }

  /** Shows what was kept of a turn. One that neither ended nor failed was left in the middle. */
  restore({ summary, text = "", citations = [], passages = [], error }) {
    if (summary) {
      this.summary(summary);
      return;
    }
    [this.#text, this.#citations, this.#passages] = [text, citations, passages];
    this.failed(new ApiError(error?.kind ?? "interrupted", error ?? {}));
  }

  summary(summary) {
    this.#summary = summary;
    this.#text = summary.answer;
    this.#citations = summary.citations;
    this.#passages = summary.passages;
    this.answer = summary.answer;
    this.#draw();
    this.#end();
    const doubted = new Set(this.#citations.filter(({ verdict }) => verdict !== "supported").map(({ index }) => index));
    this.after.append(...[
      actions(summary, this.question, this.collection, this.can),
      summary.refused ? notices.refused(summary.reason, this.can.addDocuments) : null,
      !summary.refused && !summary.answerable ? notices.doubtful(summary.reason) : null,
      doubted.size ? notices.unsupported([...doubted]) : null,
      summary.degraded.length ? notices.degraded(summary.degraded) : null,
      summary.dropped_passages.length ? notices.dropped(summary.dropped_passages.length) : null,
      this.#sources(summary.refused ? "sources.nearest" : "sources"),
      related(summary.passages, this.#cited(), this.question, this.can.ask),
      why(summary),
    ].filter(Boolean));
  }

  /** What went wrong is shown, and given back. */
  failed(error) {
    this.#error = { kind: error.kind, message: error.message, reason: error.reason, retryAfter: error.retryAfter, requestId: error.requestId };
    this.#draw();
    this.#end();
    const shown = error.kind === "stopped" ? notices.stopped(!this.#text, this.can.again)
      : notices.failure(error, this.can.again);
    this.after.append(shown);
    if (this.#text) {
      this.element.classList.add("partial");
      this.after.append(this.#sources("sources") ?? "");
    }
    return shown;
  }

  #end() {
    cancelAnimationFrame(this.#drawing);
    this.progress.remove();
    this.element.removeAttribute("aria-busy");
  }

  /** Draws what changed: blocks that stay keep their elements, and so the focus and the pointer on their citations. */
  #draw() {
    this.#drawing = 0;
    const wanted = blocks(marked(this.#text, this.#citations));
    wanted.forEach((block, at) => {
      if (this.#drawn[at] === block) return;
      const drawn = element(block, (position) => this.#citation(position));
      if (at < this.body.children.length) this.body.children[at].replaceWith(drawn);
      else this.body.append(drawn);
    });
    while (this.body.children.length > wanted.length) this.body.lastChild.remove();
    this.#drawn = wanted;
    this.can.grown(this.body);
  }

  #citation(position) {
    const citation = this.#citations[position];
    const { index } = citation;
    const found = this.#passages[index - 1];
    if (!found) return `[${index}]`;
    const passage = cited(found, citation);
    const title = passage.title || passage.document_id;
    const button = el("button.cite", { type: "button", onclick: () => this.#open(passage, button) }, String(index));
    show(button, "answer.source", { index, title }, "aria-label");
    peekable(button, passage, this.#collectionOf(passage));
    return button;
  }

  #open(passage, from) {
    openReader({ id: passage.document_id, title: passage.title, collection: this.#collectionOf(passage), passage }, from);
  }

  #collectionOf(passage) {
    return passage.collection || this.collection;
  }

  #cited() {
    return new Set(this.#citations.map(({ index }) => index));
  }

  #sources(title) {
    if (!this.#passages.length) return null;
    const shown = this.#passages.map((passage, at) => onPage(passage, this.#citations.find(({ index }) => index === at + 1)));
    return sources(shown, this.#cited(), title, (passage, from) => this.#open(passage, from));
  }
}
