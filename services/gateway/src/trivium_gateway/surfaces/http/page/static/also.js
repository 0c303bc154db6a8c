// Further collections that are asked along with the chosen one.

import { el } from "./dom.js";
import { show } from "./i18n.js";
import * as state from "./state.js";

const details = document.getElementById("also");
const list = document.getElementById("also-list");
let names = [];
let chosen = new Set();

/** All collections that the next question is asked in, the chosen one first. */
export const asked = () => [state.get("collection"), ...names.filter((name) => chosen.has(name) && name !== state.get("collection"))];

/** Offers the collections that there are. */
export function offer(found) {
  names = found;
  draw();
}

/** Asks these along, as an earlier question was. */
export function askAlong(wanted) {
  chosen = new Set(wanted);
  draw();
}

function draw() {
  const others = names.filter((name) => name !== state.get("collection"));
  details.hidden = !others.length;
  list.replaceChildren(...others.map((name) => {
    const box = el("input", { type: "checkbox", value: name, onchange: () => { box.checked ? chosen.add(name) : chosen.delete(name); changed(); } });
    box.checked = chosen.has(name);
    return el("li", {}, el("label", {}, box, el("bdi", {}, name)));
  }));
  changed();
}

function changed() {
  const count = asked().length - 1;
  details.classList.toggle("on", count > 0);
  show(document.getElementById("also-count"), count ? "also.on" : "also", { count });
  state.emit("also");
}

export function startAlso() {
  state.on("collection", draw);
  document.addEventListener("click", (event) => { if (event.target.isConnected && !details.contains(event.target)) details.open = false; });
}
