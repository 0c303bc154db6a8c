// Why a question was answered so: what each stage saw and decided, all candidates, where a document was lost, and what would change.

import { call } from "./api.js";
import { el, foreign } from "./dom.js";
import { known, language, stageText, t } from "./i18n.js";
import * as notices from "./notices.js";
import { replay } from "./replay.js";
import { scores, seconds, waterfall } from "./waterfall.js";

const MOST_CANDIDATES = 20;
const PREFIXES = /^(trivium|gen_ai)\./;

/** What opens under an answer. The trace is asked for when it opens, and only then. */
export function why(summary) {
  const model = summary.model || t("trace.none");
  const more = el("div.more", { "aria-live": "polite" });
  const details = el("details.trace", {},
    el("summary", { t: ["trace", { seconds: seconds(summary.timings.total), model }] }),
    waterfall(summary.stages, summary.timings.total),
    summary.passages.length ? scores(summary.passages) : null, more,
    el("p.quiet.request", { t: ["trace.request", { id: summary.request_id }] }));
  details.addEventListener("toggle", () => { if (details.open && !more.hasChildNodes()) load(summary, more); });
  return details;
}

const path = (summary) => `v1/traces/${encodeURIComponent(summary.request_id)}`;

async function load(summary, more) {
  more.replaceChildren(el("p.progress", { t: "why.loading" }));
  try {
    const trace = await call("GET", path(summary));
    more.replaceChildren(facts(trace), candidates(trace), lost(summary, trace), replay(path(summary), trace));
  } catch (error) {
    if (error.reason === "TRACE_NOT_FOUND") more.replaceChildren(el("p.quiet", { t: "why.gone" }));
    else more.replaceChildren(notices.failure(error, () => load(summary, more)));
  }
}

function shown(value) {
  if (value === null || value === "") return "–";
  if (typeof value === "number") return value.toLocaleString(language(), { maximumFractionDigits: 3 });
  return Array.isArray(value) ? value.join(", ") || "–" : String(value);
}

/** What each stage noted, by the names that it has there. */
function facts({ stages }) {
  const rows = stages.flatMap(({ name, facts: noted }) => Object.entries(noted).map(([fact, value], at) => el("tr", {},
    at ? el("td") : el("th", { scope: "row", t: stageText(name) }), el("td", {}, fact.replace(PREFIXES, "")),
    el("td.number", {}, shown(value)))));
  return table("noted", "why.facts", null, rows);
}

function candidates({ candidates: found }) {
  const head = ["rank", "search", "document", "dense", "sparse", "fused", "rerank"];
  const rows = found.slice(0, MOST_CANDIDATES).map((one) => el(one.passage === null ? "tr" : "tr.shown", {},
    el("td", {}, shown(one.rank)), el("td", {}, shown(one.search_rank)),
    el("th", { scope: "row" }, foreign(one.document_id ?? one.id)),
    ...["dense", "sparse", "fused", "rerank"].map((name) => el("td.number", {}, shown(one[name])))));
  return table("candidates", ["why.candidates", { count: found.length, most: Math.min(found.length, MOST_CANDIDATES) }], head, rows);
}

function table(name, caption, head, rows) {
  const words = { rank: "why.rank", search: "stage.search", document: "reader" };
  const top = head && el("thead", {}, el("tr", {}, ...head.map((one) => el("th", { scope: "col", t: words[one] ?? `trace.${one}` }))));
  return el("div.scroll", { tabindex: "0", role: "group", label: caption },
    el(`table.${name}`, {}, el("caption", { t: caption }), top, el("tbody", {}, ...rows)));
}

/** Asks of a document at which stage it was lost. */
function lost(summary, trace) {
  const answer = el("div.fate", { role: "status" });
  const field = el("input", { name: "document", required: true, autocomplete: "off", spellcheck: "false", list: `documents-${summary.request_id}` });
  const list = el("datalist", { id: `documents-${summary.request_id}` },
    ...[...new Set(trace.candidates.map((one) => one.document_id).filter(Boolean))].map((id) => el("option", { value: id })));
  const form = el("form.line", {}, el("label", {}, el("span", { t: "why.document" }), field), list,
    el("button.button", { t: "why.explain" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const { explanation } = await call("GET", `${path(summary)}?document_id=${encodeURIComponent(field.value)}`);
      const key = known(`fate.${explanation.fate}`) ? `fate.${explanation.fate}` : "fate.other";
      answer.replaceChildren(el("strong", { t: [key, { place: shown(explanation.place) }] }), " ",
        el("span", { t: ["why.places", {
          dense: shown(explanation.dense_rank), sparse: shown(explanation.sparse_rank),
          search: shown(explanation.fused_rank), rank: shown(explanation.rank),
        }] }));
    } catch (error) {
      answer.replaceChildren(notices.failure(error));
    }
  });
  return el("section.lost", {}, form, answer);
}
