// What the parts of the page share: the chosen collection, and choices that outlive a visit.

const PREFIX = "trivium.";

/** A choice of an earlier visit; null if there is none, or the browser keeps nothing. */
export function remembered(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // A browser that keeps nothing: the choice holds for this visit.
  }
}

let whose = ""; // page it is, where the gateway asks for keys
const listeners = new Map();
const state = { collection: remembered("collection") || "default", mode: remembered("mode") || "auto" };

export const get = (name) => state[name];

export function set(name, value) {
  if (state[name] === value) return;
  state[name] = value;
  remember(placeOf(name), value);
  emit(name);
}

/** Collections are each key's own, and so are their names. */
const placeOf = (name) => (whose && name === "collection" ? `${name} ${whose}` : name);

/** Takes up what the one chose whose page this is now, and forgets what nobody in particular did. */
export function belongTo(owner) {
  whose = owner;
  try {
    localStorage.removeItem(`${PREFIX}collection`);
  } catch {
    // As above.
  }
  set("collection", remembered(placeOf("collection")) || "default");
}

/** Calls a listener whenever something changes, or an event such as `documents` is told. */
export function on(name, listener) {
  if (!listeners.has(name)) listeners.set(name, new Set());
  listeners.get(name).add(listener);
}

export function emit(name) {
  for (const listener of listeners.get(name) ?? []) listener(state[name]);
}
