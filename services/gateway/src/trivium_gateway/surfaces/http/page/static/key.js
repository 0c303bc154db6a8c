// The key of a gateway that asks for one. It is kept for this tab, and asked for whenever the gateway takes no other.

import { el } from "./dom.js";

const NAME = "trivium.key";
let current = "";
let asking = null;

try {
  current = sessionStorage.getItem(NAME) ?? "";
} catch {
  // A browser that keeps nothing: the key holds until the page is left.
}

export const credentials = () => (current ? { Authorization: `Bearer ${current}` } : {});

/** Gets another key than one that was not taken, from whoever sits here. False if they give none. */
export function renewed(refused) {
  if (refused.Authorization !== credentials().Authorization) return Promise.resolve(true);
  asking ??= ask(current !== "").finally(() => { asking = null; });
  return asking;
}

function ask(wasRefused) {
  return new Promise((resolve) => {
    const input = el("input", { type: "password", name: "key", required: true, autocomplete: "off", spellcheck: "false",
      autofocus: true, placeholder: "tv_…", label: "key.label" });
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
      if (given) keep(input.value.trim());
      resolve(given);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

function keep(key) {
  current = key;
  try {
    sessionStorage.setItem(NAME, key);
  } catch {
    // As above.
  }
}
