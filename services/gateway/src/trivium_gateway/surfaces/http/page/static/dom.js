// Builds elements. Text only ever becomes text: nothing here, or anywhere on this page, reads markup from a string.

import { label, show } from "./i18n.js";

/**
 * An element.
 * @param {string} tag its name, with classes: `div.card.quiet`
 * @param {object} properties attributes; `onclick` and the like are listeners; `t` is the key of its text, `label` that
 *   of its name, each as a key or `[key, values]`
 * @param {...(Node|string|null)} children what is in it
 */
export function el(tag, properties = {}, ...children) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "t") show(element, ...[value].flat());
    else if (key === "label") label(element, ...[value].flat());
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Words of a document inside the page's own: they cannot change the direction of what stands around them. */
export const foreign = (text) => el("bdi", {}, text);

const live = () => document.getElementById("live");

/** Tells those who listen to the page instead of seeing it. */
export function announce(text) {
  live().textContent = "";
  requestAnimationFrame(() => { live().textContent = text; });
}

/** Saves what a response, or something like it, has as a file. */
export async function saved(content, name) {
  const address = URL.createObjectURL(await content.blob());
  el("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Asks before something is gone for good. */
export function confirmed(titleKey, textKey, filled) {
  return new Promise((resolve) => {
    const dialog = el("dialog.confirm", { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      el("h2", { id: "confirm-title", t: [titleKey, filled] }),
      el("p", { id: "confirm-text", t: [textKey, filled] }),
      el("div.row.end", {},
        el("button.button", { t: "cancel", autofocus: true, onclick: () => dialog.close("no") }),
        el("button.button.danger", { t: "delete", onclick: () => dialog.close("yes") })));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
