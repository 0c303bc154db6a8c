// Whether an answer is right, in the eyes of who asked, and if not, why and what would be.

import { call } from "./api.js";
import { announce, el } from "./dom.js";
import { label, show, t } from "./i18n.js";
import { icon } from "./icons.js";
import * as notices from "./notices.js";

const REASONS = ["wrong", "incomplete", "unfounded", "outdated"];
const LIMITS = { maxlength: "8000", autocomplete: "off" };

/**
 * Two thumbs, and the form that the lower one opens.
 * @param {object} summary the answer
 * @param {string} question what was asked
 * @param {string} collection where
 */
export function feedback(summary, question, collection) {
  const thumbs = new Map([[1, thumb("up", () => send(1))], [-1, thumb("down", toggle)]]);
  const state = el("p.quiet", { role: "status" });
  const problem = el("div");
  const form = reasons(summary);
  form.hidden = true;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(-1);
  });

  function toggle() {
    form.hidden = !form.hidden;
    if (!form.hidden) form.querySelector("input").focus();
  }

  async function send(rating) {
    const said = rating === 1 ? {} : said_(form);
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

  return { thumbs: thumbs.values(), form: el("div.feedback", {}, form, state, problem) };
}

/** The form: a reason at a click, and room for what is right. */
function reasons(summary) {
  const list = el("datalist", { id: `right-${summary.request_id}` },
    ...[...new Set(summary.passages.map((one) => one.document_id))].map((id) => el("option", { value: id })));
  return el("form.right", {},
    el("fieldset.reasons", {}, el("legend", { t: "feedback.reason" }), ...REASONS.map((reason) => el("label.chip", {},
      el("input", { type: "radio", name: "reason", value: reason }), el("span", { t: `feedback.${reason}` })))),
    field("feedback.answer", el("textarea", { name: "answer", rows: "2", dir: "auto", ...LIMITS })),
    el("details", {}, el("summary", { t: "feedback.more" }),
      field("feedback.document", el("input", { name: "documents", spellcheck: "false", list: list.id, autocomplete: "off" })), list,
      field("feedback.comment", el("input", { name: "comment", dir: "auto", ...LIMITS }))),
    el("button.button", { t: "feedback.send" }));
}

function said_(form) {
  const { reason, answer, documents, comment } = form.elements;
  return {
    answer: answer.value.trim(),
    comment: [reason.value, comment.value.trim()].filter(Boolean).join(": "),
    document_ids: documents.value.trim() ? [documents.value.trim()] : [],
  };
}

function thumb(name, onclick) {
  const button = el("button.icon-button", { type: "button", "aria-pressed": "false", onclick }, icon(name));
  return label(button, `feedback.${name}`);
}

const field = (name, input) => el("label", {}, el("span", { t: name }), input);
