// The conversation on the page, and the form that a question is written in.

import { askAlong, asked, startAlso } from "./also.js";
import { Turn } from "./answer.js";
import { answer, ApiError } from "./api.js";
import { newConversation, opened, save, titleFrom, titleOf } from "./conversations.js";
import { announce, el } from "./dom.js";
import { filter, inWords, startFilter } from "./filter.js";
import { follow, grown, reveal } from "./follow.js";
import { show, t } from "./i18n.js";
import { icon } from "./icons.js";
import { owner } from "./key.js";
import { addressOf, go, route } from "./route.js";
import { countPoints } from "./spans.js";
import { forgetStarters, offerStarters } from "./starters.js";
import * as state from "./state.js";

const MOST_QUESTION = 8_000; // code points, the gateway's limit
const MOST_TURNS = 10; // that go along with a follow-up question
const MOST_HISTORY = 24_000; // code points

const form = document.getElementById("composer");
const field = document.getElementById("question");
const button = document.getElementById("send");
const problem = document.getElementById("question-problem");
const view = document.getElementById("conversation");
const welcome = document.getElementById("welcome");
let conversation = newConversation();
let turns = [];
let running = null;
let showing = 0;

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

/** A turn at the end of the conversation. */
function addTurn(question, collections, filtered = "") {
  const turn = new Turn(question, collections, filtered, {
    again: () => instead(turn, turn.question),
    edit: (changed) => instead(turn, changed),
    ask,
    link: () => addressOf({ view: "ask", c: conversation.id, a: turns.indexOf(turn) + 1 }),
    addDocuments: () => go({ view: "documents" }),
    grown,
  });
  turns.push(turn);
  view.append(turn.element);
  return turn;
}

/** Asks in the place of a turn: it goes, and so does what was asked after it. */
function instead(turn, question) {
  if (running) return;
  for (const gone of turns.splice(turns.indexOf(turn))) gone.element.remove();
  ask(question);
}

async function ask(question) {
  if (running) return;
  const controller = new AbortController();
  running = controller;
  const earlier = history();
  const collections = asked();
  const isShort = earlier.length / 2 < turns.filter((one) => one.answer).length;
  const wanted = filter();
  const turn = addTurn(question, collections, wanted ? inWords(wanted) : "");
  const keep = keeper();
  if (isShort) turn.before.append(el("p.quiet", { t: "answer.forgotten" }));
  keep();
  go({ ...route(), view: "ask", c: conversation.id, a: "" });
  update();
  follow(turn.element, turn.body);
  announce(t("answer.searching"));
  try {
    const body = {
      question, ...(collections.length > 1 ? { collections } : { collection: collections[0] }), mode: state.get("mode"), ...(earlier.length ? { history: earlier } : {}), ...(wanted ? { filter: wanted } : {}),
    };
    for await (const { name, content } of answer(body, controller.signal)) {
      if (name === "sources") turn.sources(content);
      else if (name === "delta") turn.delta(content);
      else if (name === "summary") turn.summary(content);
    }
    announce(t("answer.ready", { answer: turn.body.innerText }));
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
    announce(turn.failed(error instanceof ApiError ? error : new ApiError("other")).innerText);
    state.emit("trouble");
  } finally {
    if (running === controller) running = null;
    keep();
    update();
  }
}

/** Keeps the conversation that is on the page now, also once another one is. */
function keeper() {
  const [kept, its] = [conversation, turns];
  kept.title ||= titleFrom(its[0].question);
  return () => save({ ...kept, turns: its.map((turn) => turn.record) });
}

/** Shows a conversation that is kept; a new one if none is named. What is being written for the one before is left. */
export async function showConversation(id) {
  const mine = ++showing;
  if (id === conversation.id || (!id && !view.hasChildNodes())) {
    update();
    return;
  }
  const found = id ? await opened(id) : null;
  if (mine !== showing) return;
  stop();
  running = null;
  conversation = found ?? newConversation();
  turns = [];
  view.replaceChildren();
  if (id && !found) view.append(el("p.notice", { t: "conversation.gone" }));
  for (const record of found?.turns ?? []) addTurn(record.question, [record.collection, ...record.also ?? []], record.filtered).restore(record);
  if (turns.length) {
    state.set("collection", turns.at(-1).collection);
    askAlong(turns.at(-1).also);
  }
  update();
  showTurn(route().a);
}

/** Brings a turn into view, by its number from 1; the last one without one. */
export function showTurn(number) {
  const turn = turns[number ? Number(number) - 1 : turns.length - 1];
  if (turn) reveal(turn.element);
}

/** The conversation on the page may have been renamed or deleted, here or in another tab. */
async function checkKept() {
  if (!turns.length || running) return;
  const mine = conversation;
  const title = await titleOf(mine.id);
  if (title) mine.title = title;
  else if (mine === conversation && mine.id === route().c) go({ view: "ask" }, { replace: true });
}

/** Another key: what is on the page is the other's, but for a question that was asked before there was any. */
function changeOwner() {
  forgetStarters();
  if (running && conversation.owner === "") {
    conversation.owner = owner();
    return;
  }
  stop();
  [conversation, turns, running] = [newConversation(), [], null];
  view.replaceChildren();
  update();
  showConversation(route().c);
}

/** Where no language model is configured, there is nothing to choose of how to answer. */
function offerModes(canWrite) {
  const choice = document.getElementById("mode-choice");
  choice.hidden = !canWrite;
  if (!canWrite) state.set("mode", "auto");
  document.getElementById("mode").value = state.get("mode");
}

export const isAsking = () => running !== null;

export function stop() {
  running?.abort();
}

/** The form as it is now: what its button does, what it asks for. */
function update() {
  welcome.hidden = view.hasChildNodes();
  if (!welcome.hidden && route().view === "ask") offerStarters(ask);
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
  const mode = document.getElementById("mode");
  mode.value = state.get("mode");
  if (!mode.value) mode.value = "auto";
  mode.addEventListener("change", () => state.set("mode", mode.value));
  startAlso();
  startFilter();
  state.on("writer", (canWrite) => offerModes(canWrite));
  state.on("conversations", checkKept);
  state.on("owner", changeOwner);
  state.on("collection", update);
  state.on("documents", () => { forgetStarters(); update(); });
  update();
}
