// What a campaign's delivered messages cost, by the rate cards that are loaded.

import { marketOf } from "./breakdown.js";
import { h } from "./dom.js";
import { count, zone } from "./format.js";
import { age, excuse, Panel } from "./panel.js";

const WAYS = { market: "by country", template: "by template", number: "by number", rate: "by rate" };
const EACH = { delivered: "for each delivered", read: "for each read, at most", replied: "for each customer who replied" };
const SHOWN = 20;

/** Money as people write it; small amounts have all the digits that a rate has. */
export function money(micros, currency) {
  if (typeof micros !== "number") return "–";
  const digits = Math.abs(micros) >= 1e6 || micros === 0 ? 2 : 4;
  const style = { style: "currency", currency, minimumFractionDigits: 2, maximumFractionDigits: digits };
  return new Intl.NumberFormat("en", style).format(micros / 1e6);
}

/** What something costs, and that it may be more; what nobody knows is not 0. */
function costOf({ cost_micros: micros, priced, free, unpriced }, currency) {
  if (unpriced && !priced && !free) return "no price";
  return `${unpriced ? "≥ " : ""}${money(micros, currency)}`;
}

const NOTHING = { cost_micros: 0, priced: 0, free: 0, unpriced: 0 };

export class Costs {
  by = "market";
  currency = null;
  zone = zone; // the account's days: what a message costs is its day's

  constructor(path, again) {
    this.path = path;
    this.again = again;
    this.panel = new Panel(again);
    this.ofTemplates = new Panel(again);
  }

  choose(changes) {
    Object.assign(this, changes);
    this.again();
  }

  #url(by) {
    return `${this.path}/cost?${new URLSearchParams({ group_by: by, timezone: this.zone, ...(this.currency && { currency: this.currency }) })}`;
  }

  /** A template's cost, or that of all (null); undefined while nothing is known of it. */
  ofTemplate(template) {
    if (this.panel.answer === null) return undefined; // there is no card, or no answer yet
    this.ofTemplates.show(this.#url("template"));
    const { answer } = this.ofTemplates;
    const isIt = ({ name, language }) => name === template.name && language === template.language;
    const found = template === null ? answer?.total : answer?.groups.find((one) => isIt(one.template));
    return answer && { text: costOf(found ?? NOTHING, answer.currency), micros: (found ?? NOTHING).cost_micros };
  }

  draw(nowMs) {
    this.panel.show(this.#url(this.by));
    const { answer, problem } = this.panel;
    const currencies = problem?.message.startsWith("currency must be one of") ? problem.message.match(/\b[A-Z]{3}\b/g) : null;
    return h(
      "section",
      { class: `card scroll cost ${this.panel.isStale ? "stale" : ""}`, tabindex: "0", "aria-label": "Cost" },
      h("h2", {}, "Cost", answer || !problem || problem.status >= 500 ? age(this.panel, nowMs) : ""),
      currencies && h("div", { class: "choices" }, currencies.map((currency) => h("button", { type: "button", onclick: () => this.choose({ currency }) }, currency))),
      answer ? this.#told(answer) : !currencies && (problem?.code === "not_told" ? h("p", { class: "nothing" }, "No rate card is loaded, so nobody knows: ", h("code", {}, "tally rates load"), " reads Meta's.") : excuse(this.panel)),
    );
  }

  #told({ currency, timezone, total, groups }) {
    const shown = [...groups].sort((a, b) => b.cost_micros - a.cost_micros).slice(0, SHOWN);
    return [
      h("p", { class: "big" }, h("span", { "data-micros": total.cost_micros, title: `${total.cost} ${currency}` }, costOf(total, currency))),
      h("ul", { class: "notes" }, Object.entries(EACH).map(([name, words]) => h("li", { key: name }, h("b", { "data-micros-per": name }, money(total[`micros_per_${name}`], currency)), ` ${words}`))),
      h("p", { class: "close" }, h("b", { "data-cost": "delivered" }, count(total.delivered)), " delivered = ", h("span", { "data-cost": "priced" }, count(total.priced)), " priced + ", h("span", { "data-cost": "free" }, count(total.free)), " free + ", h("span", { "data-cost": "unpriced" }, count(total.unpriced)), " without a price"),
      h(
        "div",
        { class: "choices" },
        h("select", { "aria-label": "Cost by", onchange: (event) => this.choose({ by: event.target.value }) }, Object.entries(WAYS).map(([value, text]) => h("option", { value, selected: value === this.by }, text))),
        h("small", {}, `list prices, days of ${timezone.replaceAll("_", " ")}`),
      ),
      h("table", {}, h("tbody", {}, shown.map((one) => row(one, currency)))),
      groups.length > SHOWN && h("p", { class: "close" }, `${count(groups.length - SHOWN)} more with less`),
    ];
  }
}

function row(group, currency) {
  const { cost_micros: micros, priced, free, unpriced } = group;
  const named = JSON.stringify(group.market ?? group.template ?? group.number ?? group.rate);
  return h(
    "tr",
    { key: named, "data-group": named },
    h("th", { scope: "row" }, h("bdi", { class: "cut" }, nameOf(group))),
    h("td", {}, h("small", {}, [priced && `${count(priced)} priced`, free && `${count(free)} free`, unpriced && `${count(unpriced)} without a price`].filter(Boolean).join(" · "))),
    h("td", { "data-micros": micros }, costOf(group, currency)),
  );
}

function nameOf({ market, template, number, rate }) {
  if (market !== undefined) return marketOf(market) || "unknown";
  if (template) return [template.name || "(no template)", template.language].filter(Boolean).join(" ");
  if (number !== undefined) return number || "not said";
  return [marketOf(rate.market), rate.category.replaceAll("_", " "), rate.type].filter(Boolean).join(", ") || "no price";
}
