// Finds words in the texts of documents: the gateway searches, and gives the passages that have all of them.

import { call } from "./api.js";
import { oneLine } from "./excerpt.js";

const MOST = 100; // passages, the gateway's most
const AROUND = 60; // characters before and after a word that is found
const SIGNS = /[\s\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e]/g; // ASCII's, and spaces
const LONGEST = 200; // characters of what is looked for

/** Whether there is anything to look for: one letter is in every text. */
export const isSearchable = (words) => words.replace(SIGNS, "").length > 1;

/**
 * The documents that have some words in one passage, each with the words around the first of them.
 * @returns {Promise<{found: Map<string, string>, isAll: boolean}>} by id; whether these are all
 */
export async function findInTexts(words, collection, signal) {
  const wanted = words.slice(0, LONGEST).replaceAll('"', " ").split(/\s+/).filter(isWord);
  const query = wanted.map((word) => `"${word}"`).join(" ");
  const { passages } = await call("POST", "v1/retrieve", {
    query, collection, top_n: MOST, candidates: MOST, rerank: false, collapse: false, settings: { dense_weight: 0 },
  }, signal);
  const found = new Map();
  for (const { document_id: id, text } of passages) if (!found.has(id)) found.set(id, around(text, wanted));
  return { found, isAll: passages.length < MOST };
}

const isWord = (word) => word.replace(SIGNS, "") !== "";

function around(text, words) {
  const line = oneLine(text);
  const at = Math.max(0, Math.min(...words.map((word) => line.toLowerCase().indexOf(word.toLowerCase())).filter((one) => one >= 0), line.length));
  const from = at < AROUND || at === line.length ? 0 : line.indexOf(" ", at - AROUND) + 1 || at;
  return `${from ? "… " : ""}${Array.from(line.slice(from, from + 3 * AROUND)).join("")}${from + 3 * AROUND < line.length ? " …" : ""}`;
}
