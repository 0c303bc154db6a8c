// Where the page is, as its address says: the view, and in it a conversation, an answer, a document that is open. So links lead
// to each of them, and the browser's Back and Forward go between them.

const VIEWS = ["ask", "documents"];
const listeners = new Set();
let current = parsed();

function parsed() {
  const [name, query = ""] = location.hash.slice(1).split("?", 2);
  return { ...Object.fromEntries(new URLSearchParams(query)), view: VIEWS.includes(name) ? name : "ask" };
}

export const route = () => current;

/** The fragment that leads to a place. */
export function fragment({ view, ...rest }) {
  const given = Object.entries(rest).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#${view}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

/** The whole address of a place, to be copied. */
export const addressOf = (place) => new URL(fragment(place), location.href).href;

/**
 * Goes to a place.
 * @param {object} place
 * @param {boolean} replace whether it takes the place of where the page is now, so that Back does not lead there
 * @param {boolean} over whether it lies over the place before, to which closing it leads back
 */
export function go(place, { replace = false, over = false } = {}) {
  const next = fragment(place);
  if (next === fragment(current)) return;
  history[replace ? "replaceState" : "pushState"]({ over: replace ? history.state?.over ?? over : over }, "", next);
  arrived();
}

/** Leaves a place that lies over another: back to it, or to `below` if the page was opened here. */
export function leave(below) {
  if (history.state?.over) history.back();
  else go(below, { replace: true });
}

function arrived() {
  const before = current;
  current = parsed();
  for (const listener of listeners) listener(current, before);
}

/** Calls a listener with each new place and the one before. */
export const onRoute = (listener) => listeners.add(listener);

addEventListener("popstate", arrived);
