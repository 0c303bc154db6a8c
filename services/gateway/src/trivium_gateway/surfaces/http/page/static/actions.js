// What can be done with an answer: copy it, have it written again, say whether it is right.

import { copyButton, pictured } from "./clipboard.js";
import { el } from "./dom.js";
import { onPage, placeOf } from "./excerpt.js";
import { feedback } from "./feedback.js";
import { answerTrust } from "./trust.js";

/**
 * The row under an answer.
 * @param {object} summary the answer
 * @param {string} question what was asked
 * @param {string} collection where
 * @param {{again: Function, link: Function}} can asks once more; gives the answer's address
 */
export function actions(summary, question, collection, can) {
  const { thumbs, form } = feedback(summary, question, collection);
  return el("section.actions", { label: "actions" },
    el("div.row", {}, answerTrust(summary), el("span.spring"),
      copyButton("actions.copy", () => asMarkdown(summary)),
      copyButton("actions.link", can.link, "link"), pictured("again", "actions.again", can.again, "regenerate"), ...thumbs), form);
}

/** An answer with the sources that it cites, for wherever it is pasted. */
export function asMarkdown({ answer, citations, passages }) {
  const cited = [...new Set(citations.map(({ index }) => index))].toSorted((one, other) => one - other);
  const lines = cited.map((index) => {
    const passage = onPage(passages[index - 1], citations.find((one) => one.index === index));
    const place = placeOf(passage).textContent;
    return `[${index}] ${passage.title || passage.document_id}${place && `, ${place}`}${passage.uri && ` (${passage.uri})`}`;
  });
  return [answer, lines.join("  \n")].filter(Boolean).join("\n\n");
}
