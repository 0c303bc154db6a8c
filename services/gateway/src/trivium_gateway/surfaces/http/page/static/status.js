// The state of the stages, small, at the top.

import { forReaders, readiness } from "./api.js";
import { el, foreign } from "./dom.js";
import { show, stageText } from "./i18n.js";
import * as state from "./state.js";

const EVERY_MS = 10_000;
const EXTRACTIVE = "extractive"; // what writes where there is no language model
const details = document.getElementById("status");
const word = document.getElementById("status-word");
const list = document.getElementById("status-stages");
let timer = 0;

async function look() {
  clearTimeout(timer);
  if (!document.hidden) {
    try {
      display(await readiness());
    } catch {
      mark("down", "status.unreachable");
      list.replaceChildren();
    }
  }
  timer = setTimeout(look, EVERY_MS);
}

function display({ ready, stages }) {
  const writer = stages.find(({ stage }) => stage === "generate");
  if (writer?.ready) state.set("writer", writer.model !== EXTRACTIVE);
  const all = stages.every((one) => one.ready);
  mark(ready ? (all ? "ready" : "partly") : "down", ready ? (all ? "status.ready" : "status.partly") : "status.down");
  list.replaceChildren(...stages.map((one) => el(one.ready ? "li.ready" : "li.down", {},
    el("span.dot", { "aria-hidden": "true" }), el("strong", { t: stageText(one.stage) }),
    el("span.quiet", { t: one.ready ? "status.stage.ready" : "status.stage.down" }),
    one.model ? el("span.model", {}, foreign(one.model)) : null,
    detail(one.detail))));
}

function detail(said) {
  const text = forReaders(said ?? "");
  return text ? el("span.detail.quiet", { lang: "en" }, foreign(text)) : null;
}

function mark(kind, key) {
  details.dataset.state = kind;
  show(word, key);
}

export function startStatus() {
  state.on("trouble", look);
  document.addEventListener("visibilitychange", look);
  document.addEventListener("click", (event) => { if (!details.contains(event.target)) details.open = false; });
  look();
}
