// A question that is changed where it stands, to be asked again in its own place.

import { el } from "./dom.js";
import { label } from "./i18n.js";
import { icon } from "./icons.js";

/**
 * The heading of a turn: its question, and a button that makes it a field.
 * @param {string} question
 * @param {(question: string) => void} ask asks the changed question in the place of this one
 */
export function editable(question, ask) {
  const words = el("h2.question", { dir: "auto", tabindex: "-1" }, question);
  const edit = label(el("button.icon-button.edit", { type: "button", onclick: open }, icon("edit")), "edit");
  const heading = el("div.asked", {}, words, edit);
  return heading;

  function open() {
    const field = el("textarea", { name: "question", rows: "2", dir: "auto", label: "question.label" });
    field.value = question;
    const form = el("form.edit-form", {}, field, el("div.row.end", {},
      el("p.quiet", { t: "edit.hint" }), el("span.spring"),
      el("button.button", { type: "button", t: "cancel", onclick: close }), el("button.button.primary", { t: "ask" })));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const changed = field.value.trim();
      close();
      if (changed) ask(changed);
    });
    form.addEventListener("keydown", (event) => {
      if (event.isComposing || event.keyCode === 229) return;
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && !event.shiftKey && event.target === field) form.requestSubmit();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    heading.replaceChildren(form);
    field.focus();
    field.select();
  }

  function close() {
    heading.replaceChildren(words, edit);
    edit.focus();
  }
}
