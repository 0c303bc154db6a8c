// Another index for a collection: what it takes, how far it is, what it finds, and the way back.

import { call, readiness } from "./api.js";
import { announce, el, foreign } from "./dom.js";
import { t } from "./i18n.js";
import { failure } from "./notices.js";
import * as state from "./state.js";

const MEGABYTE = 1_000_000;
const AWAY = ["network", "interrupted", "unavailable", "timeout", "overloaded"];
const PATIENCE_MS = 300_000; // how long something may be away, as it is when it restarts; nothing is lost after that, either

/** Opens what can be done about the index of a collection. */
export function openIndex(name) {
  new IndexDialog(name).open();
}

class IndexDialog {
  constructor(name) {
    this.name = name;
    this.isOpen = true;
    this.path = `v1/collections/${encodeURIComponent(name)}`;
    this.body = el("div.stack");
    this.said = el("div.stack", { role: "status" });
    this.dialog = el("dialog.confirm.index", { "aria-labelledby": "index-title" },
      el("h2", { id: "index-title", t: ["index.title", { name }] }), this.body, this.said,
      el("div.row.end", {}, el("button.button", { type: "button", t: "index.close", onclick: () => this.dialog.close() })));
    this.dialog.addEventListener("close", () => {
      this.isOpen = false; // what was begun waits in the gateway, and goes on from here or from the command
      this.dialog.remove();
      state.emit("collections");
    });
  }

  async open() {
    document.body.append(this.dialog);
    this.dialog.showModal();
    await this.load();
  }

  /** Shows what there is now. */
  async load() {
    try {
      const [collection, { stages }] = await Promise.all([call("GET", this.path), readiness()]);
      this.body.replaceChildren(...this.choices(collection, stages));
    } catch (error) {
      this.said.replaceChildren(failure(error));
    }
  }

  choices({ model, index_beside: beside, comparison }, stages) {
    const shown = [el("p", { t: ["index.answers", { model }] })];
    if (beside) shown.push(el("p", { t: [`index.${beside.role}`, { model: beside.model }] }));
    if (comparison) shown.push(report(comparison));
    const ways = {
      next: () => [this.button("index.go_on", () => this.run({})), this.button("index.discard", () => this.change("discard"))],
      previous: () => [this.button("index.rollback", () => this.goBack()), this.button("index.discard", () => this.change("discard"))],
      left: () => [this.button("index.bring_back", () => this.run({}))],
    };
    if (beside) return [...shown, el("div.row", {}, ...ways[beside.role]())];
    const models = stages.filter((one) => /^embed(\.|$)/.test(one.stage) && one.model);
    const choice = el("select", { label: "index.model" },
      ...models.map((one) => el("option", { value: one.stage.replace(/^embed\./, "") }, `${one.model} (${one.stage})`)));
    return [...shown, el("p.quiet", { t: "index.text" }), choice, el("div.row", {},
      this.button("index.estimate", () => this.estimate(choice.value)),
      this.button("index.start", () => this.run({ model: choice.value })))];
  }

  button(key, does) {
    return el("button.button", { type: "button", t: key, onclick: does });
  }

  async estimate(model) {
    await this.busy(async () => {
      const found = await call("POST", `${this.path}/reindex/estimate`, { model });
      const said = found.is_same_model ? el("p", { t: "index.same" }) : el("p", { t: ["index.estimated", {
        pieces: found.pieces, minutes: Math.max(1, Math.round(found.seconds / 60)), size: Math.max(1, Math.round(found.bytes / MEGABYTE)),
      }] });
      this.said.replaceChildren(said);
    });
  }

  /** Works until it is done or held, or the dialog is closed. */
  async run(how) {
    await this.busy(async () => {
      const bar = el("progress", { max: "1", value: "0", label: ["index.title", { name: this.name }] });
      const count = el("p.quiet");
      this.said.replaceChildren(bar, count);
      let far = { state: "running" };
      while (this.isOpen && far.state === "running") {
        far = await this.patiently(() => call("POST", `${this.path}/reindex`, how));
        bar.value = far.done / Math.max(1, far.total);
        count.textContent = t("index.running", { done: far.done, all: far.total });
      }
      if (!this.isOpen) return;
      const key = far.is_same_model ? "index.same" : far.state === "held" ? "index.held" : "index.done";
      this.said.replaceChildren(el("p", { t: key }));
      if (far.state === "held") this.said.append(this.button("index.force", () => this.run({ force: true })));
      announce(t(key));
      await this.load();
    });
  }

  /** Makes a call that may be repeated, again while something is away. */
  async patiently(does) {
    const end = Date.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await does();
      } catch (error) {
        if (!this.isOpen || !AWAY.includes(error.kind) || Date.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 1000 * Math.max(1, error.retryAfter)));
      }
    }
  }

  async goBack() {
    await this.busy(() => this.patiently(() => call("POST", `${this.path}/rollback`))) && await this.run({});
  }

  async change(what) {
    if (await this.busy(() => this.patiently(() => call("POST", `${this.path}/${what}`)))) {
      this.said.replaceChildren();
      await this.load();
    }
  }

  /** Does something while nothing else can be begun; whether it went well. */
  async busy(does) {
    const buttons = this.body.querySelectorAll("button, select");
    for (const one of buttons) one.disabled = true;
    try {
      await does();
      return true;
    } catch (error) {
      await this.load(); // something may have come of it
      this.said.replaceChildren(failure(error));
      return false;
    } finally {
      for (const one of buttons) one.disabled = false;
    }
  }
}

function report(comparison) {
  const number = (value) => value.toFixed(3);
  const failed = comparison.failed_count ? el("p", { t: ["index.failed", { count: comparison.failed_count }] }) : null;
  return el("div", {}, el("p.quiet", { t: ["index.report", {
    before: number(comparison.before), after: number(comparison.after), low: number(comparison.low), high: number(comparison.high),
    asked: comparison.made_count + comparison.labelled_count,
  }] }), failed, ...comparison.failed.map(({ id, error }) => el("p.quiet", {}, foreign(id), ": ", foreign(error))));
}
