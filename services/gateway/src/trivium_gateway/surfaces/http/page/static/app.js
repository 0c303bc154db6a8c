// Puts the page together.

import { isAsking, startAsking, stop } from "./ask.js";
import { refreshCollections, startCollections } from "./collections.js";
import { startDocuments } from "./documents.js";
import { icon } from "./dom.js";
import { adopt, apply, label, language, setLanguage } from "./i18n.js";
import { startJobs } from "./jobs.js";
import { closePeek, isPeeking, startPeek } from "./peek.js";
import { closeReader, isOpen, startReader } from "./reader.js";
import * as state from "./state.js";
import { startStatus } from "./status.js";
import { startUploads } from "./upload.js";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** `#ask` or `#documents`: two views, so that the browser's own back button works between them. */
function showView(focus) {
  const name = location.hash === "#documents" ? "documents" : "ask";
  for (const view of document.querySelectorAll("main > [data-view]")) view.hidden = view.dataset.view !== name;
  for (const link of document.querySelectorAll("nav a[href^='#']")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  closePeek();
  if (name === "ask" && (focus || matchMedia("(hover: hover)").matches)) document.getElementById("question").focus();
  else if (focus) document.getElementById("documents-title").focus();
}

function startTheme() {
  const button = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const draw = () => {
    button.replaceChildren(icon(isDark() ? "sun" : "moon"));
    label(button, isDark() ? "theme.light" : "theme.dark");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    state.remember("theme", root.dataset.theme);
    draw();
  });
  dark.addEventListener("change", draw);
  draw();
}

/** Escape leaves what is uppermost: a card, the document, an answer that is being written. */
function escape(event) {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  const status = document.getElementById("status");
  if (isPeeking()) closePeek();
  else if (status.open) status.open = false;
  else if (isOpen()) closeReader();
  else if (isAsking()) stop();
  else return;
  event.preventDefault();
}

adopt(document);
startTheme();
startReader();
startPeek();
startAsking();
startUploads();
startJobs();
startCollections();
startDocuments();
startStatus();
apply();
state.on("collections", refreshCollections);
document.getElementById("language").addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  if (location.hash === "#documents") location.hash = "#ask";
  document.getElementById("question").focus();
});
addEventListener("hashchange", () => showView(true));
addEventListener("keydown", escape);
showView(false);
root.dataset.started = "";
