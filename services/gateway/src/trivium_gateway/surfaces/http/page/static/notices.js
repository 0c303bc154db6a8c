// What people are told when something is not as it should be: what happened, and what to do.

import { el } from "./dom.js";
import { known } from "./i18n.js";
import { icon } from "./icons.js";

function notice(kind, symbol, title, ...content) {
  const heading = typeof title === "string" ? el("h3", { t: title }) : title;
  return el(`section.notice.${kind}`, {}, icon(symbol), el("div", {}, heading, ...content));
}

/** A call that failed; `again`, where it makes sense, is what a button does, and `label` what it says. */
export function failure(error, again, { label = "answer.again", level = "h3" } = {}) {
  const key = known(`error.${error.kind}`) ? `error.${error.kind}` : "error.other";
  return notice("bad", error.kind === "interrupted" ? "broken" : "alert", el(level, { t: key }),
    error.message ? el("p.said", { dir: "auto", t: ["error.said", { message: error }] }) : null,
    el("p", { t: [`${key}.todo`, { seconds: error.retryAfter, id: error.requestId || "–" }] }),
    again ? el("button.button", { type: "button", t: label, onclick: again }) : null);
}

export function stopped(early, again) {
  return notice("mild", "stop", early ? "answer.stopped.early" : "answer.stopped",
    el("button.button", { t: "answer.again", onclick: again }));
}

/** Nothing was answered: why not, and what else can be done. */
export function refused(reason, addDocuments) {
  return notice("mild", "info", "refused.title",
    reason && known(`refused.${reason}`) ? el("p", { t: `refused.${reason}` }) : null, el("p", { t: "refused.todo" }),
    el("button.button", { t: "welcome.add", onclick: addDocuments }));
}

/** The documents hardly answer the question that was answered all the same. */
export function doubtful(reason) {
  return notice("mild", "info", "doubtful.title", el("p", { t: `doubtful.${reason}` }));
}

/** Sentences of an answer are not clearly said by the sources that they cite. */
export function unsupported(numbers) {
  return notice("mild", "info", "unsupported.title",
    el("p", { t: ["unsupported.todo", { numbers: numbers.map((one) => `[${one}]`).join(" ") }] }));
}

export function degraded(list) {
  const lines = list.map(({ stage, reason, fallback, detail }) => {
    const key = `degraded.${stage}.${fallback}`;
    const why = known(`reason.${reason}`) ? `key:reason.${reason}` : reason;
    const said = known(key) ? [key, { reason: why }] : ["degraded.other", { stage, reason: why, fallback }];
    return el("li", {}, el("span", { t: said }), detail ? ` (${detail})` : null);
  });
  return notice("warn", "alert", "degraded.title", el("ul", {}, ...lines), el("p.quiet", { t: "degraded.todo" }));
}

export const dropped = (count) => el("p.quiet", { t: ["dropped", { count }] });
