// The key of a gateway that asks for one. It is kept for this tab, and asked for whenever the gateway takes no other.

import { el } from "./dom.js";
import * as state from "./state.js";

const NAME = "trivium.key";
const OWNER = "trivium.owner";
const PREFIX = "tv_"; // of keys
let current = kept(NAME);
let taken = kept(OWNER);
let asking = null;
if (taken) state.belongTo(taken);

function kept(name) {
  try {
    return sessionStorage.getItem(name) ?? "";
  } catch {
    return ""; // A browser that keeps nothing: the key holds until the page is left.
  }
}

function keep(name, value) {
  try {
    sessionStorage.setItem(name, value);
  } catch {
    // As above.
  }
}

export const credentials = () => (current ? { Authorization: `Bearer ${current}` } : {});

/** Whose the page is: the id, which is no secret, of the key that the gateway took last; empty where it asks for none. */
export const owner = () => taken;

/** Of a key its id; of an issuer's token, which is renewed again and again, for whom it is made. */
function idOf(given) {
  if (given.startsWith(PREFIX)) return given.split("_")[1];
  const payload = given.split(".")[1] ?? "";
  try {
    const { iss, sub } = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return sub ? `${iss} ${sub}` : payload;
  } catch {
    return payload;
  }
}

/** The gateway did what a call asked for, so that the key that came with it is a true one. */
export function accepted(sent) {
  if (sent.Authorization !== credentials().Authorization) return; // an earlier one's
  const id = idOf(current);
  if (id === taken) return;
  taken = id;
  keep(OWNER, id);
  state.belongTo(id);
  state.emit("owner");
}

/** Gets another key than one that was not taken, from whoever sits here. False if they give none. */
export function renewed(refused) {
  if (refused.Authorization !== credentials().Authorization) return Promise.resolve(true);
  asking ??= ask(current !== "").finally(() => { asking = null; });
  return asking;
}

/** With another's key the page begins from nothing: what the one before was shown is nowhere, in memory neither. */
function startAnew() {
  try {
    sessionStorage.clear();
  } catch {
    // As above.
  }
  keep(NAME, current);
  location.reload();
}

function ask(wasRefused) {
  return new Promise((resolve) => {
    const input = el("input", { type: "password", dir: "ltr", name: "key", required: true, autocomplete: "off", spellcheck: "false",
      autofocus: true, placeholder: `${PREFIX}…`, label: "key.label" });
    const dialog = el("dialog.confirm", { "aria-labelledby": "key-title", "aria-describedby": "key-text" },
      el("form", { method: "dialog" },
        el("h2", { id: "key-title", t: "key.title" }),
        el("p", { id: "key-text", t: wasRefused ? "key.refused" : "key.text" }),
        input,
        el("div.row.end", {},
          el("button.button", { type: "button", t: "cancel", onclick: () => dialog.close("") }),
          el("button.button.primary", { value: "given", t: "key.use" }))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      const given = dialog.returnValue === "given" && input.value.trim() !== "";
      if (given) keep(NAME, current = input.value.trim());
      if (given && taken && idOf(current) !== taken) startAnew();
      else resolve(given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
