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

const ICONS = {
  send: "M12 19V5M5.5 11.5 12 5l6.5 6.5",
  stop: "M7 7h10v10H7z",
  close: "M6 6l12 12M18 6 6 18",
  trash: "M4 7h16M9 7V4h6v3M6.5 7l1 13h9l1-13M10 11v5M14 11v5",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  plus: "M12 5v14M5 12h14",
  upload: "M12 16V4M7 9l5-5 5 5M4 16v4h16v-4",
  sun: "M12 8a4 4 0 100 8 4 4 0 000-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  moon: "M20 14.5A8 8 0 119.5 4a6.5 6.5 0 0010.5 10.5z",
  alert: "M12 4 2.5 20h19zM12 10v4M12 17v.5",
  info: "M12 3a9 9 0 100 18 9 9 0 000-18M12 11v5M12 8v.5",
  up: "M4 11h3v9H4zM7 11l4-8c1.6.3 2.4 1.5 2.2 3L12.6 9.5h5.6a2 2 0 012 2.4l-1.3 6.5a2 2 0 01-2 1.6H7",
  down: "M4 13h3V4H4zM7 13l4 8c1.6-.3 2.4-1.5 2.2-3l-.6-3.5h5.6a2 2 0 002-2.4L18.9 5.6a2 2 0 00-2-1.6H7",
  broken: "M4 12h5l2-5 3 10 2-5h4",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** Words of a document inside the page's own: they cannot change the direction of what stands around them. */
export const foreign = (text) => el("bdi", {}, text);

const live = () => document.getElementById("live");

/** Tells those who listen to the page instead of seeing it. */
export function announce(text) {
  live().textContent = "";
  requestAnimationFrame(() => { live().textContent = text; });
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Asks before something is gone for good. */
export function confirmed(titleKey, textKey, filled) {
  return new Promise((resolve) => {
    const dialog = el("dialog.confirm", { "aria-labelledby": "confirm-title", "aria-describedby": "confirm-text" },
      el("h2", { id: "confirm-title", t: titleKey }),
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
