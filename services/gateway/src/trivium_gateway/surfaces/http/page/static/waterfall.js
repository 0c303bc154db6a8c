// How long each stage took, and what each thought of each passage.

import { el, foreign } from "./dom.js";
import { language, stageText } from "./i18n.js";

const rounded = (value, digits) =>
  value === null || value === undefined ? "–" : value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function seconds(milliseconds) {
  return (milliseconds / 1000).toLocaleString(language(), { maximumFractionDigits: milliseconds < 1000 ? 2 : 1 });
}

/** Stages as they ran, each where it began. */
export function waterfall(stages, total) {
  const rows = stages.map(({ name, start_ms: start, duration_ms: duration }) => {
    const bar = el("div", { class: `bar ${name}` });
    bar.style.marginInlineStart = `${(start / total) * 100}%`;
    bar.style.inlineSize = `${Math.max((duration / total) * 100, 0.6)}%`;
    return row(name, el("div.track", { "aria-hidden": "true" }, bar), duration);
  });
  return el("table.waterfall", {}, el("caption", { t: "trace.times" }),
    el("tbody", {}, ...rows, row("total", el("div", { "aria-hidden": "true" }), total)));
}

function row(stage, track, milliseconds) {
  const digits = milliseconds < 10 ? 1 : 0;
  return el(stage === "total" ? "tr.total" : "tr", {}, el("th", { scope: "row", t: stageText(stage) }), el("td.wide", {}, track),
    el("td.number", { t: ["trace.ms", { ms: rounded(milliseconds, digits) }] }));
}

export function scores(passages) {
  const learned = passages.some((passage) => passage.scores.learned != null) ? ["learned"] : [];
  const legs = ["dense", "sparse", ...learned, "fused", "rerank"], head = ["passage", "score", ...legs];
  return el("div.scroll", { tabindex: "0", role: "group", label: "trace.scores" },
    el("table.scores", {}, el("caption", { t: "trace.scores" }),
      el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col", t: `trace.${name}` })))),
      el("tbody", {}, ...passages.map((passage, at) => el("tr", {},
        el("th", { scope: "row" }, `${at + 1} `, foreign(passage.title || passage.document_id)),
        ...[passage.score, ...legs.map((leg) => passage.scores[leg])]
          .map((score) => el("td.number", {}, rounded(score, 3))))))));
}
