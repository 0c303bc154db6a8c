// How long each stage took, and what each thought of each passage.

import { el, foreign } from "./dom.js";
import { language } from "./i18n.js";

const STAGES = ["embed", "search", "rerank", "generate"];

const rounded = (value, digits) =>
  value === null || value === undefined ? "–" : value.toLocaleString(language(), { minimumFractionDigits: digits, maximumFractionDigits: digits });

export function seconds(milliseconds) {
  return (milliseconds / 1000).toLocaleString(language(), { maximumFractionDigits: milliseconds < 1000 ? 2 : 1 });
}

/** Stages after one another, each beginning where the one before ended. */
export function waterfall(timings) {
  const total = Math.max(timings.total, STAGES.reduce((sum, stage) => sum + (timings[stage] ?? 0), 0), 0.001);
  let begin = 0;
  const rows = STAGES.filter((stage) => timings[stage] !== null).map((stage) => {
    const bar = el(`div.bar.${stage}`);
    bar.style.marginInlineStart = `${(begin / total) * 100}%`;
    bar.style.inlineSize = `${Math.max((timings[stage] / total) * 100, 0.6)}%`;
    begin += timings[stage];
    return row(stage, el("div.track", { "aria-hidden": "true" }, bar), timings[stage]);
  });
  return el("table.waterfall", {}, el("caption", { t: "trace.times" }),
    el("tbody", {}, ...rows, row("total", el("div", { "aria-hidden": "true" }), timings.total)));
}

function row(stage, track, milliseconds) {
  const digits = milliseconds < 10 ? 1 : 0;
  return el(`tr.${stage}`, {}, el("th", { scope: "row", t: `stage.${stage}` }), el("td.wide", {}, track),
    el("td.number", { t: ["trace.ms", { ms: rounded(milliseconds, digits) }] }));
}

export function scores(passages) {
  const head = ["passage", "score", "dense", "sparse", "fused", "rerank"];
  return el("div.scroll", { tabindex: "0", role: "group", label: "trace.scores" },
    el("table.scores", {}, el("caption", { t: "trace.scores" }),
      el("thead", {}, el("tr", {}, ...head.map((name) => el("th", { scope: "col", t: `trace.${name}` })))),
      el("tbody", {}, ...passages.map((passage, at) => el("tr", {},
        el("th", { scope: "row" }, `${at + 1} `, foreign(passage.title || passage.document_id)),
        ...[passage.score, passage.scores.dense, passage.scores.sparse, passage.scores.fused, passage.scores.rerank]
          .map((score) => el("td.number", {}, rounded(score, 3))))))));
}
