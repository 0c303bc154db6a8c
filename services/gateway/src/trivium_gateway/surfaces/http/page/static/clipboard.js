// Puts text on the clipboard, also on a page without a secure address, where the clipboard's own interface is missing.

import { announce, el } from "./dom.js";
import { label, t } from "./i18n.js";
import { icon } from "./icons.js";

const DONE_MS = 1500;

/** Copies a text. False if the browser does not let it. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text) {
  const focused = document.activeElement;
  const field = el("textarea.unseen", { "aria-hidden": "true", tabindex: "-1" });
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  focused?.focus({ preventScroll: true });
  return done;
}

/** A button that shows a picture and has a name. */
export function pictured(picture, name, onclick, kind = "") {
  return label(el(`button.icon-button${kind && `.${kind}`}`, { type: "button", onclick }, icon(picture)), name);
}

/** A button that copies what `text()` gives, and shows that it has. */
export function copyButton(name, text, picture = "copy") {
  const made = pictured(picture, name, async () => {
    const copied = await copyText(text());
    announce(t(copied ? "actions.copied" : "actions.not_copied"));
    if (!copied) return;
    made.replaceChildren(icon("done"));
    setTimeout(() => made.replaceChildren(icon(picture)), DONE_MS);
  });
  return made;
}
