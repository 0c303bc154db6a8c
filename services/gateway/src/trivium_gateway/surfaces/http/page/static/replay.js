// Asks again what was asked with another number of candidates, and shows what that changes among the sources.

import { call } from "./api.js";
import { el, foreign } from "./dom.js";
import { language } from "./i18n.js";
import * as notices from "./notices.js";
import { seconds } from "./waterfall.js";

/** A form for it. `path` is the trace's. */
export function replay(path, trace) {
  const answer = el("div.replayed", { role: "status" });
  const field = el("input", { type: "number", name: "candidates", min: "1", required: true, value: String(twice(trace)) });
  const form = el("form.line", {}, el("label", {}, el("span", { t: "replay.candidates" }), field), el("button.button", { t: "replay.ask" }));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    answer.replaceChildren(el("p.progress", { t: "why.loading" }));
    try {
      const changes = { candidates: Number(field.value) };
      answer.replaceChildren(...differences(await call("POST", `${path}/replay`, { set: changes })));
    } catch (error) {
      answer.replaceChildren(notices.failure(error));
    }
  });
  return el("section.replay", {}, form, answer);
}

const twice = ({ settings }) => 2 * (settings.search.candidates ?? 50);

function differences({ before, after }) {
  const earlier = new Map(before.passages.map(({ id }, at) => [id, at + 1]));
  const later = new Map(after.passages.map(({ id }, at) => [id, at + 1]));
  const same = earlier.size === later.size && [...later].every(([id, place]) => earlier.get(id) === place);
  const times = { before: seconds(before.duration_ms), after: seconds(after.duration_ms) };
  const said = el("p.quiet", { t: [same ? "replay.same" : "replay.changed", times] });
  if (same) return [said];
  const gone = before.passages.filter(({ id }) => !later.has(id));
  const rows = [...after.passages, ...gone].map(({ id, document_id: document }) => el(later.has(id) ? "tr" : "tr.quiet", {},
    el("th", { scope: "row" }, foreign(document)), place(earlier.get(id)), place(later.get(id))));
  const head = ["reader", "replay.before", "replay.after"].map((t) => el("th", { scope: "col", t }));
  return [said, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows))];
}

const place = (number) => el("td.number", {}, number === undefined ? "–" : number.toLocaleString(language()));
