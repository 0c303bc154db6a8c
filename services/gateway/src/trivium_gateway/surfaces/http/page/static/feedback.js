// Whether an answer is right, in the eyes of who asked, and what would be.

import { call } from "./api.js";
import { announce, el, icon } from "./dom.js";
import { label, show, t } from "./i18n.js";
import * as notices from "./notices.js";

/**
 * Two thumbs, and a form for what would be right.
 * @param {object} summary the answer
 * @param {string} question what was asked
 * @param {string} collection where
 */
export function feedback(summary, question, collection) {
  const state = el("p.quiet", { role: "status" });
  const problem = el("div");
  const thumbs = new Map([[1, thumb("up", () => send(1))], [-1, thumb("down", () => open())]]);
  const answer = el("textarea", { name: "answer", rows: "2", dir: "auto", maxlength: "8000" });
  const documents = el("input", { name: "documents", autocomplete: "off", spellcheck: "false", list: `right-${summary.request_id}` });
  const list = el("datalist", { id: `right-${summary.request_id}` },
    ...[...new Set(summary.passages.map((one) => one.document_id))].map((id) => el("option", { value: id })));
  const comment = el("input", { name: "comment", autocomplete: "off", dir: "auto", maxlength: "8000" });
  const form = el("form.right", { hidden: true },
    field("feedback.answer", answer), field("feedback.document", documents), list, field("feedback.comment", comment),
    el("button.button", { t: "feedback.send" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(-1);
  });

  function open() {
    form.hidden = false;
    answer.focus();
  }

  async function send(rating) {
    const said = rating === 1 ? {} : {
      answer: answer.value.trim(), comment: comment.value.trim(),
      document_ids: documents.value.trim() ? [documents.value.trim()] : [],
    };
    try {
      await call("POST", "v1/feedback", {
        request_id: summary.request_id, rating, question: summary.search_query ?? question, collection, ...said,
      });
    } catch (error) {
      problem.replaceChildren(notices.failure(error));
      return;
    }
    problem.replaceChildren();
    form.hidden = true;
    for (const [value, button] of thumbs) button.setAttribute("aria-pressed", String(value === rating));
    show(state, "feedback.thanks");
    announce(t("feedback.thanks"));
  }

  return el("section.feedback", { label: "feedback" }, el("div.row", {}, ...thumbs.values(), state), form, problem);
}

function thumb(name, onclick) {
  const button = el("button.icon-button", { type: "button", "aria-pressed": "false", onclick }, icon(name));
  return label(button, `feedback.${name}`);
}

const field = (name, input) => el("label", {}, el("span", { t: name }), input);
