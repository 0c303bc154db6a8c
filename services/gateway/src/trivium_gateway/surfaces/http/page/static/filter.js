// Which documents are asked, by what their metadata say. What can be chosen comes from the documents themselves.

import { asked } from "./also.js";
import { call } from "./api.js";
import { el } from "./dom.js";
import { show } from "./i18n.js";
import { icon } from "./icons.js";
import * as state from "./state.js";

const SAMPLE = 1000; // documents whose metadata are looked at
const MOST_VALUES = 100; // that are offered
const DATE = /^\d{4}-\d{2}-\d{2}/;

const details = document.getElementById("filter");
const rows = document.getElementById("filter-rows");
const add = document.getElementById("filter-add");
const message = document.getElementById("filter-message");
let known = new Map(); // the values that each key has
let from = ""; // the collections that they are of

/** The filter of the next question, in the API's form; null for none. */
export function filter() {
  const conditions = [...rows.children].map(condition).filter(Boolean);
  if (!conditions.length) return null;
  return conditions.length === 1 ? conditions[0] : { all: conditions };
}

/** The filter in words: `year ≥ 2020, lang = en`. */
export function inWords(chosen) {
  const signs = { gte: "≥", lte: "≤" };
  return (chosen.all ?? [chosen]).flatMap((one) => Object.entries(one)).map(([field, value]) => {
    const key = field.replace(/^metadata\./, "");
    const bound = value !== null && typeof value === "object" ? Object.entries(value)[0] : null;
    return bound ? `${key} ${signs[bound[0]]} ${bound[1]}` : `${key} = ${value}`;
  }).join(", ");
}

function condition(row) {
  const [key, comparison, value] = ["key", "comparison", "value"].map((name) => row.querySelector(`[name=${name}]`).value.trim());
  if (!key || !value) return null;
  const example = known.get(key)?.values().next().value;
  const typed = typeof example === "number" ? Number(value) : typeof example === "boolean" ? value === "true" : value;
  return { [`metadata.${key}`]: comparison === "is" ? typed : { [comparison]: typed } };
}

/** Looks at the documents of the collections that are asked, once each time that they are others. */
async function load() {
  const mine = asked().join("\n");
  if (from === mine) return;
  from = mine;
  rows.replaceChildren();
  show(message, "filter.loading");
  try {
    const found = await Promise.all(asked().map((collection) =>
      call("GET", `v1/documents?${new URLSearchParams({ collection, page_size: String(SAMPLE) })}`)));
    if (mine !== from) return;
    known = new Map();
    for (const { metadata } of found.flatMap(({ documents }) => documents)) note(metadata, "");
    show(message, known.size ? "filter.hint" : "filter.none");
    add.hidden = !known.size;
    if (known.size) addRow();
  } catch (error) {
    from = "";
    show(message, error.kind === "missing" ? "filter.none" : `error.${error.kind}`);
  }
}

/** Notes the values of metadata under their keys; those in objects under keys with dots. */
function note(metadata, before) {
  for (const [name, value] of Object.entries(metadata)) {
    const key = before + name;
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      note(value, `${key}.`);
      continue;
    }
    if (!known.has(key)) known.set(key, new Set());
    for (const one of [value].flat()) if (one !== null && typeof one !== "object") known.get(key).add(one);
  }
}

function addRow() {
  const list = el("datalist", { id: `filter-values-${crypto.getRandomValues(new Uint32Array(1))[0]}` });
  const key = el("select", { name: "key", label: "filter.key", onchange: offer },
    ...[...known.keys()].sort().map((one) => el("option", { value: one }, one)));
  const comparison = el("select", { name: "comparison", label: "filter.comparison" });
  const value = el("input", { name: "value", label: "filter.value", placeholder: "…", list: list.id, autocomplete: "off", dir: "auto" });
  const row = el("div.row", {}, key, comparison, value, list,
    el("button.icon-button", { type: "button", label: "filter.remove", onclick: () => { row.remove(); count(); } }, icon("close")));
  rows.append(row);
  offer();
  value.addEventListener("input", count);

  function offer() {
    const values = [...known.get(key.value)];
    const isOrdered = values.every((one) => typeof one === "number") || values.every((one) => DATE.test(one));
    comparison.replaceChildren(...(isOrdered ? ["is", "gte", "lte"] : ["is"]).map((one) => el("option", { value: one, t: `filter.${one}` })));
    list.replaceChildren(...values.slice(0, MOST_VALUES).map((one) => el("option", { value: String(one) })));
    count();
  }
}

/** Shows on the button how many conditions hold. */
function count() {
  const conditions = [...rows.children].filter(condition).length;
  details.classList.toggle("on", conditions > 0);
  show(document.getElementById("filter-count"), conditions ? "filter.on" : "filter", { count: conditions });
}

export function startFilter() {
  details.addEventListener("toggle", () => { if (details.open) load(); });
  add.addEventListener("click", addRow);
  state.on("also", () => {
    if (from === asked().join("\n")) return;
    from = "";
    rows.replaceChildren();
    count();
    if (details.open) load();
  });
  document.addEventListener("click", (event) => { if (event.target.isConnected && !details.contains(event.target)) details.open = false; });
  details.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || event.target.localName !== "input") return;
    event.preventDefault(); // it asks nothing
    details.open = false;
    details.querySelector("summary").focus();
  });
  count();
}
