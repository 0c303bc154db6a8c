// The conversation, and the form that a question is written in.

import { answer, ApiError } from "./api.js";
import { Turn } from "./answer.js";
import { announce, el, icon } from "./dom.js";
import { follow, grown } from "./follow.js";
import { show, t } from "./i18n.js";
import { countPoints } from "./spans.js";
import * as state from "./state.js";

const MOST_QUESTION = 8_000; // code points, the gateway's limit
const MOST_TURNS = 10; // that go along with a follow-up question
const MOST_HISTORY = 24_000; // code points

const form = document.getElementById("composer");
const field = document.getElementById("question");
const button = document.getElementById("send");
const problem = document.getElementById("question-problem");
const conversation = document.getElementById("conversation");
const welcome = document.getElementById("welcome");
const fresh = document.getElementById("new");
let turns = [];
let running = null;

/** Earlier turns that were answered, the latest ones as far as they fit. */
function history() {
  const messages = [];
  let size = 0;
  for (const { question, answer: said } of turns.filter((turn) => turn.answer).slice(-MOST_TURNS).reverse()) {
    size += countPoints(question) + countPoints(said);
    if (size > MOST_HISTORY) break;
    messages.unshift({ role: "user", content: question }, { role: "assistant", content: said });
  }
  return messages;
}

async function ask(question) {
  if (running) return;
  const controller = new AbortController();
  running = controller;
  const earlier = history();
  const collection = state.get("collection");
  const turn = new Turn(question, collection, {
    again: () => { if (!running) { remove(turn); ask(question); } },
    addDocuments: () => { location.hash = "#documents"; },
    grown,
  });
  if (earlier.length / 2 < turns.filter((one) => one.answer).length) {
    turn.before.append(el("p.quiet", { t: "answer.forgotten" }));
  }
  turns.push(turn);
  conversation.append(turn.element);
  update();
  follow(turn.element, turn.body);
  announce(t("answer.searching"));
  try {
    const body = { question, collection, mode: state.get("mode"), ...(earlier.length ? { history: earlier } : {}) };
    for await (const { name, content } of answer(body, controller.signal)) {
      if (name === "sources") turn.sources(content);
      else if (name === "delta") turn.delta(content);
      else if (name === "summary") turn.summary(content);
    }
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    turn.failed(error instanceof ApiError ? error : new ApiError("other"));
    state.emit("trouble");
  } finally {
    if (running === controller) running = null;
    update();
  }
}

function remove(turn) {
  turns = turns.filter((one) => one !== turn);
  turn.element.remove();
}

export const isAsking = () => running !== null;

export function stop() {
  running?.abort();
}

/** The form as it is now: what its button does, whether there is a conversation to leave. */
function update() {
  welcome.hidden = turns.length > 0;
  fresh.hidden = turns.length === 0;
  button.replaceChildren(icon(running ? "stop" : "send"), el("span", { t: running ? "stop" : "ask" }));
  button.classList.toggle("stopping", running !== null);
  button.disabled = !running && field.value.trim() === "";
  show(field, turns.some((turn) => turn.answer) ? "question.followup" : "question.placeholder", undefined, "placeholder");
}

function grow() {
  field.style.blockSize = "auto";
  field.style.blockSize = `${Math.min(field.scrollHeight, 220)}px`;
}

function submit() {
  const question = field.value.trim();
  const length = countPoints(question);
  problem.hidden = length <= MOST_QUESTION;
  if (!question || running) return;
  if (length > MOST_QUESTION) {
    show(problem, "question.too_long", { count: length, most: MOST_QUESTION });
    return;
  }
  field.value = "";
  grow();
  ask(question);
}

export function startAsking() {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (running) stop();
    else submit();
  });
  field.addEventListener("keydown", (event) => {
    // Not while an input method composes a word: there, Enter chooses it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    submit();
  });
  field.addEventListener("input", () => { grow(); update(); problem.hidden = true; });
  fresh.addEventListener("click", () => {
    stop();
    turns = [];
    conversation.replaceChildren();
    update();
    field.focus();
  });
  const mode = document.getElementById("mode");
  mode.value = state.get("mode");
  if (!mode.value) mode.value = "auto";
  mode.addEventListener("change", () => state.set("mode", mode.value));
  update();
}
