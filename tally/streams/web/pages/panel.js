// What comes from Postgres: asked for every ten seconds while the page is seen, and shown with its own age.

import { h } from "./dom.js";
import { duration, time } from "./format.js";

const EVERY_MS = 10000;
const PATIENCE_MS = 8000;

export class Panel {
  answer = null; // the last one; it stays while the next one is on its way, and while there is none
  problem = null; // why the last question had no answer: {code, message}
  #url = null;
  #askedAt = -Infinity;
  #isAsking = false;

  constructor(again) {
    this.again = again;
    setInterval(() => this.#ask(), 1000);
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  /** Show what an address answers. */
  show(url) {
    if (url === this.#url) return;
    this.#url = url;
    this.#askedAt = -Infinity;
    this.#ask();
  }

  /** Whether what is shown is of an earlier question. */
  get isStale() {
    return this.answer !== null && (this.answer.url !== this.#url || this.problem !== null);
  }

  async #ask() {
    const isDue = performance.now() - this.#askedAt >= EVERY_MS;
    if (this.#url === null || this.#isAsking || !isDue || document.hidden) return;
    this.#isAsking = true;
    this.#askedAt = performance.now();
    const url = this.#url;
    const [answer, problem] = await asked(url);
    this.#isAsking = false;
    if (url !== this.#url) return this.#ask();
    this.problem = problem;
    if (answer) this.answer = { url, ...answer };
    this.again();
  }
}

async function asked(url) {
  try {
    const response = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    const body = await response.json();
    return response.ok ? [body, null] : [null, { status: response.status, ...body.error }];
  } catch {
    return [null, { code: "no_answer", message: "The server does not answer." }];
  }
}

/** When a panel's numbers were true, and how old they are by now. */
export function age(panel, nowMs) {
  const { answer, problem } = panel;
  if (problem && problem.status !== 404) return h("span", { class: "age late", title: problem.message }, answer ? `not renewed · ${ageOf(answer, nowMs)}` : "not there");
  if (answer === null) return h("span", { class: "age" }, problem ? "" : "asking …");
  const isLate = answer.receipt.state === "catching_up";
  return h("span", { class: `age ${isLate ? "late" : ""}`, "data-as-of": answer.receipt.as_of }, `${isLate ? "catching up · " : ""}${ageOf(answer, nowMs)}`);
}

function ageOf({ receipt }, nowMs) {
  if (receipt.as_of === null) return "as of no moment yet";
  const asOfMs = Date.parse(receipt.as_of);
  const seconds = Math.max(0, Math.round((nowMs - asOfMs) / 1000));
  return `${time(asOfMs)} · ${seconds < 60 ? `${seconds} s` : duration(1000 * seconds)} old`;
}

/** What a panel says while it has nothing to show. */
export function excuse({ answer, problem }) {
  if (answer !== null) return null;
  return h("p", { class: "nothing" }, problem ? problem.message : "Asking Postgres …");
}

/** The button that shows a chart's numbers. */
export const toggle = (isShown, turn) => h("button", { type: "button", class: "quiet", "aria-expanded": String(isShown), onclick: turn }, isShown ? "hide numbers" : "show numbers");

/** A chart's numbers: the names of the columns, the rows, and a last one. */
export function numbers(label, columns, rows, last) {
  return h(
    "div",
    { class: "numbers", tabindex: "0", role: "region", "aria-label": label },
    h("table", {}, h("thead", {}, h("tr", {}, columns.map((one) => h("th", { scope: "col" }, one)))), h("tbody", {}, rows), last && h("tfoot", {}, last)),
  );
}
