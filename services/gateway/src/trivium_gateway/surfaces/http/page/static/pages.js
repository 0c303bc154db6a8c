// A PDF as its pages: each is drawn by the gateway once it comes near the view, with the lines of a passage boxed.

import { filePath, load } from "./api.js";
import { el } from "./dom.js";
import { t } from "./i18n.js";
import { linesOf } from "./library.js";
import { failure } from "./notices.js";
import { utf16Offsets } from "./spans.js";

const PAGE_END = "\f";
const A4 = { width: 595, height: 842 }; // points, until a page has said how large it is
const LEAST_SCALE = 1.5; // pixels for each point: letters stay sharp where a page is shown smaller
const MOST_SCALE = 4;
const MOST_TEXT = 20_000; // characters of a page that are told to those who do not see it

/** Whether a document can be shown as pages. */
export const hasPages = ({ file }) => file?.format === "pdf";

/**
 * The pages of a document. They come once they are near the view of `scroller`, the one of what is cited at once.
 * @param {{id: string, text: string}} found
 * @param {string} collection
 * @param {{start: number, end: number} | null} place the passage, in UTF-16 units
 * @param {object | null} passage its span, and what supports the answer most in it, in code points
 * @param {Element} scroller
 * @param {() => void} arrived is called once the passage is boxed
 */
export function pages(found, collection, place, passage, scroller, arrived) {
  const texts = found.text.split(PAGE_END);
  const boxing = passage ? linesOf(found.id, collection).then((lines) => boxes(lines, passage)).catch(() => []) : Promise.resolve([]);
  const sheets = texts.map((text, at) => sheet(text, at + 1));
  const size = { ...A4 };
  let isKnown = false;
  const watching = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) if (isIntersecting) draw(target);
  }, { root: scroller, rootMargin: "100% 0px" });
  for (const one of sheets) watching.observe(one);
  const first = place ? sheets[found.text.slice(0, cited(found.text, place, passage)).split(PAGE_END).length - 1] : null;
  let isLeft = false; // by whoever reads: until then what is cited stays in view, whatever comes above it
  for (const name of ["wheel", "touchmove", "keydown", "pointerdown"]) {
    scroller.addEventListener(name, () => { isLeft = true; }, { once: true, passive: true });
  }
  if (first) draw(first);
  return el("div.pages", {}, ...sheets);

  async function draw(one) {
    watching.unobserve(one);
    const number = Number(one.dataset.page);
    try {
      const scale = Math.min(MOST_SCALE, Math.max(LEAST_SCALE, (scroller.clientWidth * devicePixelRatio) / size.width));
      const response = await load(`${filePath(found.id, collection)}&page=${number}&scale=${scale.toFixed(2)}`);
      Object.assign(size, { width: Number(response.headers.get("X-Page-Width")), height: Number(response.headers.get("X-Page-Height")) });
      const its = { ...size };
      const picture = el("img", { alt: t("place.page", { page: number }) });
      picture.src = URL.createObjectURL(await response.blob());
      await picture.decode();
      URL.revokeObjectURL(picture.src);
      // The others are likely to be as large, so that nothing moves when they come.
      for (const other of isKnown ? [one] : sheets) other.style.aspectRatio = `${its.width} / ${its.height}`;
      isKnown = true;
      one.querySelector(".sheet-problem")?.remove();
      one.prepend(picture);
      one.append(...(await boxing).filter(({ box }) => box.page === number).map((line) => boxed(line, its)));
      if (first?.isConnected && first.querySelector("img") && !isLeft) arrived(first);
    } catch (error) {
      one.querySelector(".sheet-problem")?.remove();
      one.append(el("div.sheet-problem", {}, failure(error, () => draw(one))));
    }
  }
}

/** Where in the text it stands what supports the answer most, else the passage, in UTF-16 units. */
function cited(text, place, { quote }) {
  return place.start + (quote ? utf16Offsets(text.slice(place.start), quote.start)[0] : 0);
}

function sheet(text, number) {
  const made = el("section.sheet", { label: ["place.page", { page: number }], "data-page": String(number) },
    el("div.unseen", { dir: "auto" }, text.slice(0, MOST_TEXT)));
  made.style.aspectRatio = `${A4.width} / ${A4.height}`;
  return made;
}

/** The lines of a passage, and which of them support the answer most. */
function boxes(lines, { span, quote }) {
  const within = ({ start }, at, [from, to]) => start < to && (lines[at + 1]?.start ?? Infinity) > from;
  const [from, to] = [span.start + (quote?.start ?? 0), span.start + (quote?.end ?? 0)];
  return lines.flatMap((box, at) => within(box, endOf(lines, at), [span.start, span.end])
    ? [{ box, isQuote: Boolean(quote) && within(box, endOf(lines, at), [from, to]) }] : []);
}

/** The last of the lines that begin at one place of the text, as the lines of a table's row do. */
function endOf(lines, at) {
  while (lines[at + 1]?.start === lines[at].start) at += 1;
  return at;
}

function boxed({ box, isQuote }, { width, height }) {
  const made = el(isQuote ? "mark.line-box.quote" : "mark.line-box", { tabindex: "-1" }, el("span.unseen", {}, t("reader.passage")));
  const share = (part, whole) => `${(100 * part) / whole}%`;
  Object.assign(made.style, {
    left: share(box.x0, width), top: share(box.y0, height), width: share(box.x1 - box.x0, width), height: share(box.y1 - box.y0, height),
  });
  return made;
}
