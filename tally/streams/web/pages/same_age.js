// How far messages had come at each age, beside what earlier campaigns had reached when they were as old.

import { paintChart } from "./chart.js";
import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { age, excuse, numbers, Panel, toggle } from "./panel.js";

const SHARES = { delivered_share: "delivered", read_share: "read" };
const share = (value) => (typeof value === "number" ? percent(value, 1) : "–");
const told = (seconds) => duration(1000 * seconds).replace(".0 s", " s");

/** The chart's data of shares by age: `of` are [{name, tone, value: (age) => share}]. */
export function byAge(ages, of, band) {
  const shown = ages.filter((one) => of.some(({ value }) => typeof value(one) === "number"));
  const labels = shown.map(({ age_seconds: seconds }) => ({ axis: told(seconds), full: `after ${told(seconds)}` }));
  const lines = of.map(({ name, tone, value }) => ({ name, tone, values: shown.map((one) => value(one) ?? null) }));
  return { labels, lines, whole: labels.length, say: share, band };
}

export class SameAge {
  told = "delivered_share";
  isTable = false;
  #kept = {};

  constructor(path, again) {
    this.url = `${path}/same-age`;
    this.again = again;
    this.panel = new Panel(again);
  }

  choose(changes) {
    Object.assign(this, changes);
    this.again();
  }

  draw(nowMs) {
    this.panel.show(this.url);
    const { answer } = this.panel;
    const reached = answer?.ages.filter((one) => one.accepted > 0) ?? [];
    return h(
      "section",
      { class: `card same-age ${this.panel.isStale ? "stale" : ""}`, "aria-label": "At the same age" },
      h("h2", {}, "At the same age", age(this.panel, nowMs)),
      answer === null && excuse(this.panel),
      answer !== null && reached.length === 0 && h("p", { class: "nothing" }, "No message is old enough yet."),
      reached.length > 0 && [
        h(
          "div",
          { class: "choices" },
          h("select", { "aria-label": "Share", onchange: (event) => this.choose({ told: event.target.value }) }, Object.entries(SHARES).map(([value, text]) => h("option", { value, selected: value === this.told }, text))),
          toggle(this.isTable, () => this.choose({ isTable: !this.isTable })),
        ),
        h("div", { class: "chart", key: "chart", role: "img", "aria-label": `Share ${SHARES[this.told]} by age, with the band of earlier campaigns`, paint: { by: paintChart, data: this.#data(answer, reached) } }),
        h("p", { class: "close" }, said(reached.findLast((one) => one.earlier.campaigns) ?? reached.at(-1), this.told)),
        this.isTable && table(reached),
      ],
    );
  }

  #data(answer, reached) {
    const { told: name } = this;
    if (this.#kept.answer !== answer || this.#kept.name !== name) {
      const of = [
        { name: `${SHARES[name]} here`, tone: name === "read_share" ? "teal" : "blue", value: (one) => one[name] },
        { name: "half of earlier ones", tone: "grey", value: (one) => one.earlier[name].p50 },
        { name: "best quarter", tone: "line", value: (one) => one.earlier[name].p75 },
        { name: "worst quarter", tone: "line", value: (one) => one.earlier[name].p25 },
      ];
      this.#kept = { answer, name, data: byAge(reached, of, [2, 3]) };
    }
    return this.#kept.data;
  }
}

/** How far messages were at the oldest age that earlier campaigns have, and how far those were. */
function said({ age_seconds: seconds, accepted, earlier, ...shares }, name) {
  const band = earlier[name];
  const here = `${told(seconds)} after they were accepted ${share(shares[name])} of ${count(accepted)} messages were ${SHARES[name]}`;
  if (!earlier.campaigns) return `${here}. No earlier campaign is as old.`;
  return `${here}; of the ${count(earlier.campaigns)} campaigns before, half lay between ${share(band.p25)} and ${share(band.p75)}.`;
}

function table(ages) {
  const cells = (one) => Object.keys(SHARES).flatMap((name) => [
    h("td", { "data-counter": name.replace("_share", "") }, h("b", {}, count(one[name.replace("_share", "")])), h("small", {}, share(one[name]))),
    h("td", { class: "none", "data-band": name }, one.earlier.campaigns ? `${share(one.earlier[name].p25)} to ${share(one.earlier[name].p75)}` : "–"),
  ]);
  return numbers(
    "Shares by age",
    ["age", "old enough", "delivered", "earlier", "read", "earlier"],
    ages.map((one) => h("tr", { key: one.age_seconds, "data-age": one.age_seconds }, h("th", { scope: "row" }, told(one.age_seconds)), h("td", { "data-counter": "accepted" }, count(one.accepted)), cells(one))),
  );
}
