// A campaign's numbers over time: a chart, and the same as a table.

import { paintChart } from "./chart.js";
import { h } from "./dom.js";
import { count, zone } from "./format.js";
import { age, excuse, numbers, Panel, toggle } from "./panel.js";

const HOUR_MS = 3600000;
const DAY_MS = 24 * HOUR_MS;
const KEPT_MS = 47 * HOUR_MS; // minutes of two days are kept
const MINUTE_MS = 60000;
const LONGEST_MS = { minute: 6 * HOUR_MS, hour: 14 * DAY_MS, day: 366 * DAY_MS, week: 3 * 366 * DAY_MS, month: 10 * 366 * DAY_MS };
const INTERVALS = { auto: "by itself", minute: "by minute", hour: "by hour", day: "by day", week: "by week", month: "by month" };
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const ATTRIBUTIONS = { event: "when it happened", send: "when it was sent" };

/** What is chosen, and what was answered. */
export class OverTime {
  attribution = "event";
  interval = "auto";
  zone = zone;
  isTable = false;
  #picked = {};
  #kept = {}; // the chart's data of the last answer: the same ones as long as the answer is

  constructor(path, lines, again) {
    this.path = path;
    this.lines = lines; // {name, label, tone}
    this.again = again;
    this.panel = new Panel(again);
  }

  choose(changes) {
    Object.assign(this, changes);
    this.again();
  }

  /** The card: `progress` says from when to when there is anything. */
  draw(progress, nowMs) {
    if (progress === null) return null;
    this.panel.show(`${this.path}/series?${new URLSearchParams(asked(this, progress, nowMs))}`);
    const { answer } = this.panel;
    return h(
      "section",
      { class: `card wide over-time ${this.panel.isStale ? "stale" : ""}`, "aria-label": "Over time" },
      h("h2", {}, "Over time", h("span", { class: "legend" }, this.lines.map(({ label, tone }) => h("span", { key: label }, h("i", { class: tone, "aria-hidden": "true" }), label)))),
      h(
        "div",
        { class: "choices" },
        pick("Time", ATTRIBUTIONS, this.attribution, (attribution) => this.choose({ attribution })),
        pick("Interval", INTERVALS, this.interval, (interval) => this.choose({ interval })),
        this.#zones(),
        toggle(this.isTable, () => this.choose({ isTable: !this.isTable })),
        age(this.panel, nowMs),
      ),
      answer
        ? h("div", { class: "chart", key: "chart", role: "img", "aria-label": `${this.lines.map(({ label }) => label).join(", ")} ${INTERVALS[answer.interval]}, ${ATTRIBUTIONS[answer.attribution]}`, paint: { by: paintChart, data: this.#data(answer) } })
        : h("div", { class: "chart", key: "none" }, excuse(this.panel)),
      answer && this.isTable && table(answer, this.lines),
    );
  }

  /** The choice among all zones: one node as long as none is chosen, since there are 400. */
  #zones() {
    if (this.#picked.zone !== this.zone) {
      const names = [zone, "UTC", ...(Intl.supportedValuesOf?.("timeZone") ?? [])];
      const options = Object.fromEntries(names.map((one) => [one, one.replaceAll("_", " ")]));
      this.#picked = { zone: this.zone, node: pick("Zone", options, this.zone, (chosen) => this.choose({ zone: chosen })) };
    }
    return this.#picked.node;
  }

  #data(answer) {
    if (this.#kept.answer !== answer) {
      const { buckets } = answer;
      const whole = buckets.findIndex((one) => !one.is_complete && Date.parse(one.to) > Date.parse(answer.receipt.as_of ?? 0));
      const lines = this.lines.map(({ name, label, tone }) => ({ name: label, tone, values: buckets.map(({ counters }) => counters[name]) }));
      this.#kept = { answer, data: { labels: buckets.map((one) => labelled(one, answer.interval)), lines, whole: whole < 0 ? buckets.length : whole, say: count } };
    }
    return this.#kept.data;
  }
}

function pick(label, options, chosen, choose) {
  return h(
    "select",
    { "aria-label": label, onchange: (event) => choose(event.target.value) },
    Object.entries(options).map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
}

/** The parameters of a question: from the campaign's first activity to its last, in buckets that fit. */
function asked({ attribution, interval, zone: timezone, lines }, { first_activity: first, last_activity: last }, nowMs) {
  const lastMs = Date.parse(last);
  const hasMinutes = attribution === "event" && nowMs - lastMs < KEPT_MS;
  const wanted = interval === "auto" ? fitting(lastMs - Date.parse(first)) : interval;
  const chosen = wanted === "minute" && !hasMinutes ? "hour" : wanted;
  const firstMs = Math.max(Date.parse(first), lastMs - LONGEST_MS[chosen]);
  const counter = lines.map(({ name }) => name).join();
  const common = { interval: chosen, attribution, timezone, counter };
  if (chosen === "minute") {
    const [begin, end] = [firstMs, lastMs + MINUTE_MS].map((ms) => new Date(ms - (ms % MINUTE_MS)).toISOString());
    return { ...common, from: begin, to: end };
  }
  if (chosen === "hour") {
    const [begin, end] = [hourOf(firstMs, timezone), hourOf(lastMs, timezone) + HOUR_MS].map((ms) => new Date(ms).toISOString());
    return { ...common, from: begin, to: end };
  }
  return { ...common, from: begun(dateOf(firstMs, timezone), chosen), to: dateOf(lastMs, timezone) };
}

function fitting(spanMs) {
  if (spanMs <= 3 * HOUR_MS) return "minute";
  if (spanMs <= 4 * DAY_MS) return "hour";
  return spanMs <= 90 * DAY_MS ? "day" : "week";
}

/** The beginning of an hour of a zone, which may be at 15, 30 or 45 minutes of others. */
function hourOf(ms, timeZone) {
  const minute = Number(new Intl.DateTimeFormat("en", { timeZone, minute: "numeric" }).format(ms));
  return ms - (ms % MINUTE_MS) - minute * MINUTE_MS;
}

/** The date that a zone's clocks show, as 2026-11-30. */
function dateOf(ms, timeZone) {
  return new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" }).format(ms);
}

function begun(date, interval) {
  if (interval === "month") return `${date.slice(0, 8)}01`;
  if (interval === "day") return date;
  const at = new Date(`${date}T00:00:00Z`);
  at.setUTCDate(at.getUTCDate() - ((at.getUTCDay() + 6) % 7));
  return at.toISOString().slice(0, 10);
}

/** A bucket's name, cut out of the server's words: a browser may know other zones. */
function labelled({ from, to }, interval) {
  const [day, clock] = [`${Number(from.slice(8, 10))} ${MONTHS[Number(from.slice(5, 7)) - 1]}`, from.slice(11, 16)];
  if (interval === "month") return { axis: `${MONTHS[Number(from.slice(5, 7)) - 1]} ${from.slice(0, 4)}`, full: `${MONTHS[Number(from.slice(5, 7)) - 1]} ${from.slice(0, 4)}` };
  if (interval === "week") return { axis: day, full: `week of ${day} ${from.slice(0, 4)}` };
  if (interval === "day") return { axis: day, full: `${day} ${from.slice(0, 4)}` };
  return { axis: clock === "00:00" ? day : clock, full: interval === "minute" ? `${day}, ${clock}` : `${day}, ${clock} to ${to.slice(11, 16)}` };
}

function table({ buckets, totals, interval }, lines) {
  const cells = (counters) => lines.map(({ name }) => h("td", { "data-counter": name }, count(counters[name])));
  return numbers(
    "Numbers over time",
    [interval, ...lines.map(({ label }) => label)],
    buckets.map((one) => h("tr", { key: one.from, "data-bucket": one.from, class: one.is_complete ? "" : "so-far" }, h("th", { scope: "row" }, labelled(one, interval).full, !one.is_complete && h("small", {}, "so far")), cells(one.counters))),
    h("tr", { "data-bucket": "all" }, h("th", { scope: "row" }, "in all"), cells(totals)),
  );
}
