// Puts the page together.

import { isAsking, showConversation, showTurn, startAsking, stop } from "./ask.js";
import { refreshCollections, startCollections } from "./collections.js";
import { startDocuments } from "./documents.js";
import { el } from "./dom.js";
import { adopt, apply, label, language, setLanguage } from "./i18n.js";
import { icon } from "./icons.js";
import { startJobs } from "./jobs.js";
import { keepShell } from "./offline.js";
import { closePeek, isPeeking, startPeek } from "./peek.js";
import { closeReader, isOpen, openNamed, startReader } from "./reader.js";
import { fragment, onRoute, route } from "./route.js";
import { isOver, setOpen, startSidebar } from "./sidebar.js";
import * as state from "./state.js";
import { startStatus } from "./status.js";
import { LANGUAGES } from "./strings.js";
import { startUploads } from "./upload.js";

const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Shows the view that the address names. */
function showView({ view: name, c, a }, before = {}) {
  for (const view of document.querySelectorAll("main > [data-view]")) view.hidden = view.dataset.view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.to === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  closePeek();
  if (name === "ask") {
    document.querySelector("nav [data-to='ask']").href = fragment({ view: "ask", c });
    if (c !== before.c || before.view !== name) showConversation(c).then(() => { if (a) showTurn(a); });
    else if (a && a !== before.a) showTurn(a);
  }
  if (before.view === name) return;
  if (name === "ask" && (before.view || matchMedia("(hover: hover)").matches)) document.getElementById("question").focus({ preventScroll: true });
  else if (before.view) document.getElementById("documents-title").focus();
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

function startLanguage() {
  const select = document.getElementById("language");
  select.append(...Object.entries(LANGUAGES).map(([value, { name, tag }]) => el("option", { value, lang: tag }, name)));
  select.value = language();
  select.addEventListener("change", () => setLanguage(select.value));
}

/** Escape leaves what is uppermost: a card, the document, an answer that is being written. */
function escape(event) {
  if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
  const [status, box] = [document.getElementById("status"), document.querySelector(".filter[open]")];
  if (isPeeking()) closePeek();
  else if (status.open) status.open = false;
  else if (box) box.open = false;
  else if (isOver()) setOpen(false);
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
startSidebar();
startUploads();
startJobs();
startCollections();
startDocuments();
startStatus();
apply();
state.on("collections", refreshCollections);
startLanguage();
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  if (route().view !== "ask") location.hash = "#ask";
  document.getElementById("question").focus();
});
addEventListener("keydown", escape);
onRoute(showView);
showView(route());
openNamed(route());
keepShell();
root.dataset.started = "";
