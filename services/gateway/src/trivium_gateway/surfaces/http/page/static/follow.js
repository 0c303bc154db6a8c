// Moves the conversation, and nothing else: to a question when it is asked, then along with the end of its answer, until the
// reader scrolls up, and again once the end is back in view.

import { calm } from "./dom.js";
import { isPeeking } from "./peek.js";

const NEAR = 40; // pixels below the frame that still count as in view
const MARGIN = 24; // left free below the end, and above a question

const scroller = document.querySelector(".scroller");
let followed = null;
let following = false;
let last = 0;

const below = () => followed.getBoundingClientRect().bottom - scroller.getBoundingClientRect().bottom;

scroller.addEventListener("scroll", () => {
  const up = scroller.scrollTop < last;
  last = scroller.scrollTop;
  if (followed) following = below() <= NEAR || (following && !up);
}, { passive: true });

/** Shows a question that was just asked, and from then on follows the end of its answer. */
export function follow(question, answer) {
  followed = answer;
  following = true;
  const top = question.getBoundingClientRect().top - scroller.getBoundingClientRect().top;
  scroller.scrollBy({ top: top - MARGIN, behavior: calm() ? "instant" : "smooth" });
}

/** Brings a turn into view, from its question on. */
export function reveal(turn) {
  followed = null;
  scroller.scrollTop += turn.getBoundingClientRect().top - scroller.getBoundingClientRect().top - MARGIN;
}

/** Keeps up with an answer that has grown; one that is not the latest changes nothing, nor while a citation is pointed at. */
export function grown(answer) {
  if (answer !== followed || !following || isPeeking()) return;
  const beyond = below() + MARGIN;
  if (beyond > 0) scroller.scrollBy({ top: beyond, behavior: "instant" });
}
