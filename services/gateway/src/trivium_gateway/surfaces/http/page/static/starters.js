// Questions to begin with, made of what the documents are called and of their headings: no model has to think of them.

import { call } from "./api.js";
import { el } from "./dom.js";
import { openDocument } from "./library.js";
import { chips, questionAbout } from "./related.js";
import * as state from "./state.js";

const SHOWN = 3;
const LISTED = 100;
const MOST_PIECES = 50; // of a document that is read for its headings
const DAY_MS = 86_400_000;
const HEADING = /^#{2,4} (.+)$/gm;

const place = document.getElementById("welcome-starters");
let offered = null; // the collection that the questions are about
let turn = 0;

/** Offers some about the chosen collection, once, and others each day. Where there is no document, or none may be listed, it has none. */
export async function offerStarters(ask) {
  const collection = state.get("collection");
  if (collection === offered) return;
  offered = collection;
  const mine = ++turn;
  place.hidden = true;
  const questions = await questionsAbout(collection).catch(() => []);
  if (mine !== turn || !questions.length) return;
  place.replaceChildren(el("p.quiet", { t: "starters" }), chips(questions, ask));
  place.hidden = false;
}

/** What is there has changed. */
export function forgetStarters() {
  offered = null;
}

async function questionsAbout(collection) {
  const query = new URLSearchParams({ collection, page_size: String(LISTED) });
  const { documents } = await call("GET", `v1/documents?${query}`);
  const named = documents.filter(({ title, chunk_count: count }) => title && count <= MOST_PIECES);
  const step = Math.max(1, Math.floor(named.length / SHOWN));
  const first = Math.floor(Date.now() / DAY_MS) % step;
  const picked = named.filter((_, at) => at % step === first).slice(0, SHOWN);
  return Promise.all(picked.map(async ({ id, title }) => {
    const { text } = await openDocument(id, collection);
    const headings = Array.from(text.matchAll(HEADING), ([, heading]) => heading.trim()).filter((one) => one !== title);
    return questionAbout(headings[0] ?? title, title);
  }));
}
