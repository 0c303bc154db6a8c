// Formulas: they stand as they were written until the library that sets them is here, which comes with the first of them, and for
// good where it cannot read them.

import { el } from "./dom.js";

const LONGEST = 4_000; // characters
const BOUNDS = { throwOnError: true, trust: false, strict: false, maxSize: [20, 20], maxExpand: 500 };

let coming = null;

/** An element with a formula. `isBlock` is one that stands for itself. */
export function formula(tag, tex, isBlock) {
  const made = el(tag, { dir: "ltr" }, tex);
  if (tex.length <= LONGEST) set(made, tex, isBlock);
  return made;
}

async function set(made, tex, isBlock) {
  try {
    const { default: temml } = await (coming ??= import("./temml.js"));
    const draft = document.createElement("span");
    temml.render(tex, draft, { ...BOUNDS, displayMode: isBlock });
    made.replaceChildren(...draft.childNodes);
    made.classList.add("set");
  } catch (error) {
    if (!(error instanceof TypeError)) return; // no TeX that it knows
    coming = null; // it could not be loaded: the next formula tries again
  }
}
