// How far an answer or a passage is to be trusted: a word, and the calibrated value where there is one.

import { el } from "./dom.js";
import { language } from "./i18n.js";

const STRONG = 0.75;
const FAIR = 0.45;

const level = (value) => (value >= STRONG ? "strong" : value >= FAIR ? "fair" : "weak");
const percent = (value) => value.toLocaleString(language(), { style: "percent" });

/** How likely a passage answers the question, in a word; nothing where its score is no probability. */
export function passageTrust({ score, scores }) {
  if (!scores.calibrated) return null;
  return el(`span.trust.${level(score)}`, { t: [`trust.passage.${level(score)}`, { value: percent(score) }] });
}

/** How likely the documents state the answer; nothing where that is not known. */
export function answerTrust({ confidence, refused }) {
  if (confidence === null || refused) return null;
  const name = level(confidence);
  return el(`span.trust.${name}`, { t: [`trust.answer.${name}`, { value: percent(confidence) }] });
}
