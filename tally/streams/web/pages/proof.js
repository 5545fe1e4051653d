// What shows that the numbers are right: audits, how far all is counted, what could not be read, what gateways answer.

import { h } from "./dom.js";
import { ago, count, duration } from "./format.js";
import { show } from "./frame.js";
import { Panel } from "./panel.js";

const QUIET_MS = 180000; // processes report once a minute: with three missing the page says so
const SOURCES = {
  states: ["what is known of each message, contact and call", "their states"],
  cells: ["sums over business numbers, markets and quarter hours", "cells"],
  lines: ["the people and calls behind each number", "lines"],
  postgres: ["rows in Postgres", "Postgres"],
  view: ["what the read API answers", "the view"],
  raw: ["raw events, counted again from the beginning", "raw events"],
};
const OUTCOMES = {
  accepted: "accepted: 200, safe at the brokers",
  handshake: "handshakes of Meta",
  handshake_refused: "handshakes with a wrong token",
  forged: "without a right signature",
  unsupported: "of another type or encoding",
  slow: "too slow",
  cut: "never whole: the connection ended, or no HTTP followed",
  too_large: "too large",
  full: "no room: 503",
  unavailable: "no brokers in time: 503",
};
const ITEMS = { accepted: "items accepted", refused: "items refused", not_acknowledged: "items not acknowledged" };

export function showProof(tenant) {
  const panel = new Panel(() => again());
  const again = show({
    tenant,
    query: "receipts=1",
    name: "proof",
    title: () => `Proof of ${tenant} · Tally`,
    draw: (live) => draw(panel, live.now),
  });
  panel.show(`/v1/tenants/${encodeURIComponent(tenant)}/reports`);
}

function draw(panel, nowMs) {
  const { answer, problem } = panel;
  return [
    h("div", { class: "headline" }, h("h1", {}, "Proof")),
    h(
      "p",
      { class: "sub" },
      answer && ["Asked ", h("span", { "data-asked": answer.asked_at }, seconds(answer.asked_at, nowMs)), ". "],
      answer && problem && h("b", { class: "warn" }, problem.message),
    ),
    answer === null
      ? h("p", { class: "nothing" }, problem ? problem.message : "Asking …")
      : h(
          "div",
          { class: "grid" },
          audits(answer.audits, nowMs),
          partitions(answer),
          letters(answer.dead_letters, nowMs),
          gateways(answer.gateways, nowMs),
        ),
  ];
}

const seconds = (moment, nowMs) => `${Math.max(0, Math.round((nowMs - Date.parse(moment)) / 1000))} s ago`;
const since = (moment, nowMs) => ago(Date.parse(moment), nowMs).replace("now", "just now");

function heard(one, nowMs) {
  const isQuiet = nowMs - Date.parse(one.reported_at) > QUIET_MS;
  return isQuiet ? h("b", { class: "warn", "data-heard": "late" }, `Last heard of ${since(one.reported_at, nowMs)}.`) : h("span", { "data-heard": "live" }, `Reported ${seconds(one.reported_at, nowMs)}.`);
}

function card(title, aside, ...inside) {
  return h("section", { class: "card" }, h("h2", {}, title, aside && h("span", {}, aside)), ...inside);
}

function audits(all, nowMs) {
  if (!all.length) {
    return card("Audits", null, h("p", { class: "nothing" }, "No audit reports here. ", h("code", {}, "tally audit --every 300"), " recounts all rows again and again, and shows here."));
  }
  return all.map((one) => audit(one, nowMs));
}

function audit(one, nowMs) {
  const differing = Object.values(one.drift).reduce((sum, number) => sum + number, 0);
  const isMade = one.audited_at !== null;
  return h(
    "section",
    { class: "card", key: one.name, "data-audit": one.name },
    h("h2", {}, "Audit", h("span", {}, h("bdi", {}, one.name))),
    isMade
      ? h(
          "p",
          { class: `big ${differing ? "bad" : "good"}` },
          h("span", { flash: differing, "data-number": "differing" }, count(differing)),
          h("small", {}, differing === 1 ? "counter differs" : "counters differ", " in ", h("b", { "data-number": "rows" }, count(one.rows)), " rows"),
        )
      : h("p", { class: "nothing" }, "No audit has ended yet."),
    isMade &&
      h(
        "ul",
        { class: "checks" },
        Object.entries(SOURCES).map(([source, [words]]) => check(source, words, one.drift[source])),
      ),
    h(
      "p",
      { class: "close" },
      isMade && `Audited ${since(one.audited_at, nowMs)} in ${duration(one.took_ms)}, every ${duration(one.every_seconds * 1000)}. `,
      heard(one, nowMs),
      one.behind_rows > 0 && [" ", h("b", { "data-number": "behind_rows" }, count(one.behind_rows)), " rows were written while it looked: of these it says nothing."],
      one.failures > 0 && h("em", {}, ` ${count(one.failures)} audits could not be made.`),
    ),
  );
}

function check(source, words, number) {
  const how = number === undefined ? "none" : number ? "bad" : "good";
  const said = { none: "not compared", bad: "differ", good: "the same" }[how];
  return h(
    "li",
    { key: source, class: how },
    h("i", { "aria-hidden": "true" }, { none: "–", bad: "✕", good: "✓" }[how]),
    h("span", {}, words),
    h("small", {}, number > 0 && [h("b", { "data-number": `drift.${source}`, flash: number }, count(number)), " "], said),
  );
}

function partitions({ partitions: all, behind }) {
  // What the brokers have not said yet is not 0.
  const sum = (name) => (all.some((one) => one[name] === null) ? null : all.reduce((total, one) => total + one[name], 0));
  const raw = Object.entries(behind).filter(([topic]) => topic !== "facts");
  const cell = (one, name, numbered = name) => h("td", {}, h("b", { flash: one[name] ?? 0, "data-number": numbered }, count(one[name])));
  return card(
    "Counted, by partition",
    null,
    h(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": "Counted, by partition" },
      h(
        "table",
        { class: "partitions" },
        h("thead", {}, h("tr", {}, ["Partition", "facts counted", "behind", "messages waiting"].map((name) => h("th", { scope: "col" }, name)))),
        h(
          "tbody",
          {},
          all.map((one) =>
            h("tr", { key: String(one.partition), "data-partition": one.partition }, h("th", { scope: "row" }, one.partition), cell(one, "counted"), cell(one, "behind"), cell(one, "waiting_messages")),
          ),
        ),
        h(
          "tfoot",
          {},
          h("tr", {}, h("th", { scope: "row" }, "all"), ["counted", "behind", "waiting_messages"].map((name) => h("td", {}, h("b", {}, count(sum(name)))))),
        ),
      ),
    ),
    h(
      "p",
      { class: "close" },
      raw.length === 0
        ? "The brokers have not said yet how many raw events wait to be read."
        : raw.every(([, number]) => number === 0)
          ? "No raw event waits to be read."
          : ["To be read: ", raw.filter(([, number]) => number > 0).map(([topic, number], index) => [index ? ", " : "", h("b", {}, count(number)), ` of ${topic}`]), "."],
    ),
    h("p", { class: "close" }, "A message waits while its status is known and its send result is not: it counts once that comes."),
    sum("contested_messages") > 0 && h("p", { class: "close" }, h("em", {}, `${count(sum("contested_messages"))} messages are claimed by several tenants.`)),
  );
}

function letters(all, nowMs) {
  if (all === null) return null;
  const sum = all.reduce((total, one) => total + one.number, 0);
  const most = Math.max(...all.map((one) => one.number));
  return card(
    "Dead letters",
    sum > 0 ? `${count(sum)} records could not be read` : null,
    sum === 0 && h("p", { class: "nothing" }, "Everything that came could be read, as far as an audit has looked."),
    h(
      "ul",
      { class: "bars" },
      [...all].sort((a, b) => b.number - a.number).map((one) =>
        h(
          "li",
          { key: one.reason, "data-reason": one.reason },
          h("span", {}, one.reason.replaceAll("_", " ")),
          h("div", { class: "bar" }, h("i", { css: { "--part": one.number / most } })),
          h("b", { class: "n", flash: one.number, "data-number": "letters" }, count(one.number)),
          h("small", { title: "the newest" }, since(one.last_at, nowMs)),
        ),
      ),
    ),
    sum > 0 && h("p", { class: "close" }, h("code", {}, "tally dead-letters list"), " shows them, ", h("code", {}, "replay"), " counts them once they are mended."),
  );
}

function gateways(all, nowMs) {
  if (all === null) return null;
  if (!all.length) return card("Gateways", null, h("p", { class: "nothing" }, "No gateway reports here."));
  return all.map((one) =>
    h(
      "section",
      { class: "card", key: one.name, "data-gateway": one.name },
      h("h2", {}, "Gateway", h("span", {}, h("bdi", {}, one.name))),
      h("ul", { class: "answers" }, answers(OUTCOMES, one.answers, "answers"), answers(ITEMS, one.items, "items")),
      h(
        "p",
        { class: "close" },
        one.is_up ? "" : h("em", {}, "The brokers take nothing at present. "),
        `Began ${since(one.since, nowMs)}; the last webhook ${one.accepted_at === null ? "has not come yet" : `came ${since(one.accepted_at, nowMs)}`}. `,
        heard(one, nowMs),
      ),
    ),
  );
}

function answers(words, numbers, name) {
  return Object.entries(words)
    .filter(([outcome]) => outcome === "accepted" || numbers[outcome] > 0)
    .map(([outcome, said]) =>
      h(
        "li",
        { key: `${name}.${outcome}`, class: outcome === "accepted" || outcome === "handshake" ? "" : "warn" },
        h("b", { class: "n", flash: numbers[outcome] ?? 0, "data-number": `${name}.${outcome}` }, count(numbers[outcome] ?? 0)),
        h("span", {}, said),
      ),
    );
}
