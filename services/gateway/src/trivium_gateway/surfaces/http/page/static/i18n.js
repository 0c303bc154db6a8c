// The page's language, and its texts on the page: every element that shows one knows which, so that switching the
// language changes all of them in place.

import { LANGUAGES, REASONS, TABLES } from "./strings.js";
import { remember, remembered } from "./state.js";

const values = new WeakMap();
const listeners = new Set();

function preferred() {
  const chosen = remembered("language");
  if (chosen in TABLES) return chosen;
  return navigator.languages.map((one) => one.slice(0, 2).toLowerCase()).find((one) => one in TABLES) ?? "en";
}

let current = preferred();

export const language = () => current;

/** Whether the page has its own words for an error. */
const explained = ({ reason }) => reason in (REASONS[current] ?? {});

/** What an error says: in the page's own words where it has some in its language, else in the gateway's, else what kind it is. */
function said(error) {
  const message = error.message || (known(`error.${error.kind}`) ? t(`error.${error.kind}`) : "");
  return explained(error) ? REASONS[current][error.reason].replace("{message}", () => message) : message;
}

/** Which form a count takes: `one`, for 1 alone in any language, and what else its language has, such as `two` and `few` in Arabic. */
const form = (count) => (typeof count !== "number" ? "" : count === 1 ? "one" : new Intl.PluralRules(current).select(count));

/** A text in the page's language. A value that is a key with `key:` before it is itself such a text, one that is an error what that says. */
export function t(key, filled = {}) {
  const table = TABLES[current];
  const text = table[`${key}.${form(filled.count)}`] ?? table[key] ?? TABLES.en[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = filled[name];
    if (value === undefined) return whole;
    if (typeof value === "number") return value.toLocaleString(current);
    if (typeof value === "object") return said(value);
    return typeof value === "string" && value.startsWith("key:") ? t(value.slice(4)) : String(value);
  });
}

export const known = (key) => key in TABLES.en;

/** What a stage is called; one that has come since, by its own name. */
export const stageText = (name) => (known(`stage.${name}`) ? `stage.${name}` : ["stage.other", { name }]);

/** Has an element show a text: as its content, or as an attribute. */
export function show(element, key, filled, attribute = "") {
  const shown = values.get(element) ?? {};
  shown[attribute] = [key, filled];
  values.set(element, shown);
  element.setAttribute("data-text", "");
  render(element, attribute, key, filled);
  return element;
}

function render(element, attribute, key, filled) {
  const text = t(key, filled);
  if (attribute === "") element.textContent = text;
  else element.setAttribute(attribute, text);
  if (key === "error.said") element.lang = explained(filled.message) ? LANGUAGES[current].tag : "en";
}

/** Reads what the page's own markup asks for: `data-t="key"`, `data-t-label="key"`, `data-t-placeholder="key"`. */
export function adopt(root) {
  for (const element of root.querySelectorAll("[data-t]")) show(element, element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-placeholder]")) {
    show(element, element.dataset.tPlaceholder, undefined, "placeholder");
  }
  for (const element of root.querySelectorAll("[data-t-label]")) label(element, element.dataset.tLabel);
}

/** The name of an element for those who do not see it, and its tooltip for those who do. */
export function label(element, key, filled) {
  show(element, key, filled, "aria-label");
  if (element.matches("button, a, summary")) show(element, key, filled, "title");
  return element;
}

export function setLanguage(next) {
  current = next;
  remember("language", next);
  apply();
}

export const onLanguage = (listener) => listeners.add(listener);

export function apply() {
  const { tag, direction } = LANGUAGES[current];
  document.documentElement.lang = tag;
  document.documentElement.dir = direction;
  document.title = t("title");
  for (const element of document.querySelectorAll("[data-text]")) {
    for (const [attribute, [key, filled]] of Object.entries(values.get(element) ?? {})) {
      render(element, attribute, key, filled);
    }
  }
  for (const listener of listeners) listener();
}

export function bytes(count) {
  const mebibytes = count / (1024 * 1024);
  if (mebibytes >= 1) return `${mebibytes.toLocaleString(current, { maximumFractionDigits: 1 })} MiB`;
  return `${Math.max(1, Math.round(count / 1024)).toLocaleString(current)} KiB`;
}
