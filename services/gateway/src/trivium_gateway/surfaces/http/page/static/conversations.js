// The conversations of whoever sits here: kept, found, renamed, deleted, written out. Those of one key are never another's.

import { asMarkdown } from "./actions.js";
import { owner } from "./key.js";
import * as state from "./state.js";
import * as store from "./store.js";

const MOST = 200; // conversations, the latest
const MOST_CHARACTERS = 30_000_000; // of all together, as they are kept
const MOST_SEARCHED = 50_000; // characters of one that are searched
const LONGEST_TITLE = 80;

const others = "BroadcastChannel" in globalThis ? new BroadcastChannel("trivium.conversations") : null;
others?.addEventListener("message", () => state.emit("conversations"));

function changed() {
  others?.postMessage("");
  state.emit("conversations");
}

/** A conversation that nothing was asked in yet. It is kept from its first question on. */
export function newConversation() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const id = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, owner: owner(), title: "", turns: [] };
}

/** What the list shows, the latest first; of a search, those that have all its words. */
export async function found(words = "") {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  const own = (await store.entries()).filter((one) => one.owner === owner());
  const fitting = own.filter(({ title, text }) => wanted.every((word) => `${title}\n${text}`.toLowerCase().includes(word)));
  return fitting.sort((one, other) => other.updated - one.updated);
}

const entryOf = async (id) => (await store.entries()).find((one) => one.id === id && one.owner === owner());

/** What a conversation is called; empty if it is not kept, or another's. */
export const titleOf = async (id) => (await entryOf(id))?.title ?? "";

/** A conversation with its turns; null if it is not kept, or another's. */
export async function opened(id) {
  const entry = await entryOf(id);
  if (!entry) return null;
  return { id, owner: entry.owner, title: entry.title, turns: (await store.turnsOf(id)) ?? [] };
}

/** Keeps a conversation as it is now. One whose key is no longer this page's is kept for that key. */
export async function save({ id, owner: whose, title, turns }) {
  const text = turns.map(({ question, summary, text: partial }) => `${question}\n${summary?.answer ?? partial ?? ""}`).join("\n");
  const size = JSON.stringify(turns).length;
  await store.put({ id, owner: whose, title, updated: Date.now(), size, text: text.slice(0, MOST_SEARCHED) }, turns);
  await prune(id);
  changed();
}

/** A title as the list shows it: a question's beginning, on one line. */
export const titleFrom = (question) => question.replace(/\s+/g, " ").trim().slice(0, LONGEST_TITLE);

export async function rename(id, title) {
  const entry = await entryOf(id);
  if (!entry || !title.trim()) return;
  await store.put({ ...entry, title: titleFrom(title) });
  changed();
}

export async function forget(ids) {
  await store.remove(ids);
  changed();
}

/** Lets go of the oldest ones, as many as are too many. */
async function prune(kept) {
  const all = (await store.entries()).sort((one, other) => other.updated - one.updated);
  let size = 0;
  const gone = all.filter((one, at) => {
    size += one.size;
    return one.id !== kept && (at >= MOST || size > MOST_CHARACTERS);
  });
  if (gone.length) await store.remove(gone.map(({ id }) => id));
}

/** A whole conversation as Markdown, each answer with its sources. */
export function exported({ title, turns }) {
  const parts = turns.map(({ question, summary, text }) =>
    `## ${question.replace(/\s+/g, " ")}\n\n${summary ? asMarkdown(summary) : text ?? ""}`.trimEnd());
  return [`# ${title}`, ...parts].join("\n\n") + "\n";
}
