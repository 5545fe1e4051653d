// A campaign by business number and by market: tables of what Postgres holds.

import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { age, excuse, Panel } from "./panel.js";

const SHOWN = 12;
const regions = new Intl.DisplayNames(["en"], { type: "region", fallback: "code" });

/** How groups of each kind are named, and what one is called that nobody has named. */
const KINDS = {
  number: { title: "Business numbers", column: "number", nameless: "not said", name: (number) => number },
  market: { title: "Markets", column: "country", nameless: "unknown", name: marketOf },
};

/** A region's name; what is no region stands as it is. */
export function marketOf(market) {
  return /^[A-Z]{2}$/.test(market) ? regions.of(market) : market;
}

export class Breakdown {
  isWhole = false;

  constructor(path, by, columns, again) {
    const counters = new Set(columns.flatMap(({ name, of }) => (of ? [name, of] : [name])));
    this.url = `${path}/breakdown?${new URLSearchParams({ by, counter: [...counters].join() })}`;
    this.by = by;
    this.columns = columns; // {name, label, of, atLeast}
    this.again = again;
    this.panel = new Panel(again);
  }

  draw(nowMs) {
    this.panel.show(this.url);
    const { answer } = this.panel;
    const { title, column, name, nameless } = KINDS[this.by];
    const groups = answer?.groups ?? [];
    const shown = this.isWhole ? groups : groups.slice(0, SHOWN);
    return h(
      "section",
      { class: `card scroll breakdown ${this.panel.isStale ? "stale" : ""}`, tabindex: "0", "aria-label": title, "data-by": this.by },
      h("h2", {}, title, age(this.panel, nowMs)),
      answer === null
        ? excuse(this.panel)
        : h(
            "table",
            {},
            h("thead", {}, h("tr", {}, h("th", { scope: "col" }, column), this.columns.map(({ label }) => h("th", { scope: "col" }, label)))),
            h("tbody", {}, shown.map((one) => this.#row(one[this.by], name(one[this.by]) || nameless, one.counters))),
            h("tfoot", {}, this.#row("all", "campaign", answer.totals)),
          ),
      groups.length > SHOWN && h("button", { type: "button", class: "quiet", onclick: () => this.#turn() }, this.isWhole ? "show fewer" : `show all ${count(groups.length)}`),
      answer?.groups_more && h("p", { class: "close" }, `${count(answer.groups_more.groups)} more are not shown`),
    );
  }

  #turn() {
    this.isWhole = !this.isWhole;
    this.again();
  }

  #row(group, words, counters) {
    return h(
      "tr",
      { key: `${this.by} ${group}`, "data-group": group },
      h("th", { scope: "row", title: words }, h("bdi", { class: "cut" }, words)),
      this.columns.map(({ name, of, atLeast }) => h("td", { "data-counter": name }, h("b", {}, count(counters[name])), of && h("small", {}, `${atLeast && counters[of] ? "≥ " : ""}${percent(counters[name], counters[of])}`))),
    );
  }
}
