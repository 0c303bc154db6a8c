// Documents as the gateway stores them. The last ones opened are kept, so that pointing at one citation after another
// fetches each document once.

import { call, documentPath } from "./api.js";

const KEPT = 12;
const kept = new Map();
let lines = {}; // of the document that was asked for last

/** A document with its text. */
export function openDocument(id, collection) {
  const key = `${collection}\n${id}`;
  let opening = kept.get(key);
  kept.delete(key);
  if (!opening) {
    opening = call("GET", documentPath(id, collection));
    opening.catch(() => kept.delete(key));
  }
  kept.set(key, opening);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return opening;
}

/** Where the lines of a document stand on its pages, in their order. */
export async function linesOf(id, collection) {
  const key = `${collection}\n${id}`;
  if (lines.key !== key) lines = { key, found: call("GET", `${documentPath(id, collection)}&include=boxes`) };
  const { boxes } = await lines.found;
  return boxes.toSorted((one, other) => one.start - other.start);
}

export function forgetDocuments() {
  kept.clear();
  lines = {};
}

/** The address of a document if a browser can open it; null for any other, `javascript:` among them. */
export function webAddress(uri) {
  try {
    const url = new URL(uri);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** The last part of a path: enough to tell a document by, where the whole one stands in its reader. */
export const shortName = (id) => id.split("/").filter(Boolean).at(-1) ?? id;
