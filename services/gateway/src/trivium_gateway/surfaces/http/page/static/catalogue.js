// The documents of a collection as they are listed: fetched once, then found, filtered and sorted without asking again.

import { call } from "./api.js";
import { language } from "./i18n.js";
import { shortName } from "./library.js";

const PAGE = 1000; // documents at a time, the gateway's most
const DATE = /^\d{4}-\d{2}-\d{2}/;
const DATE_KEYS = ["date", "modified", "updated", "published", "created"];

/** Fetches all documents of a collection, and tells after each page what there is so far, until `goesOn()` is false. */
export async function fetchAll(collection, goesOn, onPage) {
  const documents = [];
  let token = "";
  do {
    const query = new URLSearchParams({ collection, page_size: String(PAGE), page_token: token });
    const found = await call("GET", `v1/documents?${query}`);
    if (!goesOn()) return;
    documents.push(...found.documents.map(listed));
    token = found.next_page_token ?? "";
    onPage(documents, token === "");
  } while (token);
}

/** A document with what it is sorted and filtered by. */
function listed(one) {
  const name = one.title || shortName(one.id);
  return { ...one, name, kind: kindOf(one.id) || kindOf(one.uri ?? ""), date: dateOf(one.metadata), words: `${name}\n${one.id}`.toLowerCase() };
}

/** What its name ends with; empty where that says nothing. */
function kindOf(path) {
  return /\.([a-z]\w{0,9})$/i.exec(path.split("?", 1)[0])?.[1].toLowerCase() ?? "";
}

/** The day that its metadata name, under the keys that usually hold one, else under any; empty if there is none. */
function dateOf(metadata) {
  const keys = [...DATE_KEYS, ...Object.keys(metadata)];
  const found = keys.map((key) => metadata[key]).find((value) => typeof value === "string" && DATE.test(value));
  return found?.slice(0, "2026-01-31".length) ?? "";
}

/** The kinds that there are, those of most documents first. */
export function kinds(documents) {
  const counts = new Map();
  for (const { kind } of documents) if (kind) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].sort((one, other) => other[1] - one[1]).map(([kind]) => kind);
}

/**
 * Those that fit, in order.
 * @param {object[]} documents
 * @param {{words: string, kind: string, since: string, until: string, order: string}} wanted
 * @param {Map<string, string>} inText those that have the words in their text, by id
 */
export function chosen(documents, { words, kind, since, until, order }, inText) {
  const each = words.toLowerCase().split(/\s+/).filter(Boolean);
  const compare = new Intl.Collator(language(), { numeric: true }).compare;
  const orders = {
    name: (one, other) => compare(one.name, other.name),
    date: (one, other) => (other.date > one.date ? 1 : other.date < one.date ? -1 : compare(one.name, other.name)),
    size: (one, other) => other.chunk_count - one.chunk_count || compare(one.name, other.name),
  };
  return documents
    .filter((one) => (each.every((word) => one.words.includes(word)) || inText.has(one.id)) && (!kind || one.kind === kind) &&
      (!since || (one.date && one.date >= since)) && (!until || (one.date && one.date <= until)))
    .sort(orders[order] ?? orders.name);
}
