// The page of a voice campaign.

import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { card, closing, coming, funnel, headed, notes, number, reasons, templates, times } from "./parts.js";

/** Causes of Q.850 as Asterisk names them (include/asterisk/causes.h). */
const CAUSES = {
  0: "unknown",
  1: "no such number",
  2: "no route to the network",
  3: "no route",
  16: "normal hang-up",
  17: "busy",
  18: "no answer of the phone",
  19: "not picked up",
  20: "absent",
  21: "rejected",
  22: "number changed",
  26: "answered elsewhere",
  27: "out of order",
  28: "incomplete number",
  29: "not offered",
  31: "normal, unspecified",
  34: "no channel free",
  38: "network out of order",
  41: "temporary failure",
  42: "congestion of switches",
  44: "channel not available",
  50: "not subscribed",
  58: "bearer not available",
  88: "incompatible",
  102: "timer expired",
  127: "interworking",
};
const ALLOWED_DROPS = 0.03;
const OUTCOMES = {
  answered: "answered",
  no_answer: "no answer",
  busy: "busy",
  rejected: "rejected",
  unreachable: "unreachable",
  congestion: "congestion",
  call_cancelled: "cancelled by our side",
  call_failed: "failed otherwise",
  ended_unknown: "end not seen",
};
const COLUMNS = [
  { name: "attempts", label: "attempts" },
  { name: "attempted", label: "dialled" },
  { name: "answered", label: "answered", of: "attempted" },
  { name: "answered_human", label: "human", of: "answered" },
  { name: "connects", label: "connects" },
  { name: "dropped", label: "dropped", of: "answered_human" },
  { name: "failed", label: "failed", of: "attempts" },
];
const PARTS = {
  waiting: "waiting now",
  joins: "joined",
  connects: "connected",
  abandoned: "gave up",
  timeouts: "timed out",
  ring_no_answer: "rang out",
  wait_ms: "waited",
  talk_ms: "talked",
  hold_ms: "held",
};

const PLACES = [
  { name: "attempted", label: "dialled" },
  { name: "answered", label: "answered", of: "attempted" },
  { name: "dropped", label: "dropped", of: "answered_human" },
];
const LINES = [
  { name: "answered", label: "answered", tone: "teal" },
  { name: "connects", label: "connects", tone: "violet" },
  { name: "dropped", label: "dropped", tone: "red" },
  { name: "attempted", label: "dialled", tone: "grey" },
];

/** What its panels show. */
export const ASKED = { lines: LINES, places: PLACES, areMessages: false };

/** The page; `panels` are null while their scripts are on their way. */
export function draw(live, panels) {
  const { campaign, receipt, progress, now } = live;
  const { totals } = campaign;
  const ended = Object.keys(OUTCOMES).reduce((sum, name) => sum + totals[name], 0);
  return [
    headed(campaign, live, "Voice", [
      [number("contacts", totals.contacts), " contacts"],
      [h("b", { class: "n" }, count(totals.attempted - ended)), " ringing now or waiting for their end"],
      totals.queue_waiting > 0 && [number("queue_waiting", totals.queue_waiting), " waiting in a queue"],
    ]),
    h(
      "div",
      { class: "grid" },
      card("From attempt to person", "counts and rates", funnel(steps(totals), Math.max(totals.attempts, totals.attempted, totals.connects)), sums(totals, ended)),
      h("div", { class: "stack" }, drops(totals), lengths(totals)),
      panels ? panels.overTime.draw(progress, now) : coming("Over time"),
      card("Outcomes", "of the attempts that were dialled", h("ul", { class: "bars" }, Object.entries(OUTCOMES).map(([name, words]) => bar(name, words, totals[name], totals.attempted)))),
      h("div", { class: "stack" }, causes(totals), noted(totals, receipt)),
      queues(totals.queues),
      templates(campaign, COLUMNS, "Scripts"),
      panels && h("div", { class: "wide halves" }, panels.markets.draw(now), panels.numbers.draw(now)),
      totals.failed > 0 && reasons(campaign),
    ),
  ];
}

const steps = (totals) => [
  { name: "attempts", label: "Attempts", value: totals.attempts, tone: "t1" },
  { name: "attempted", label: "Dialled", value: totals.attempted, of: totals.attempts, ofWhat: "attempts", tone: "t2" },
  { name: "answered", label: "Answered", value: totals.answered, of: totals.attempted, ofWhat: "dialled", tone: "t4" },
  { name: "answered_human", label: "Human", value: totals.answered_human, of: totals.answered, ofWhat: "answered", tone: "teal" },
  { name: "connects", label: "Connects", value: totals.connects, tone: "violet" },
];

const sums = (totals, ended) => [
  closing(totals.attempted, "dialled", [
    ...Object.entries(OUTCOMES).map(([name, words]) => [totals[name], words, name === "answered"]),
    [totals.attempted - ended, "not ended yet", true],
  ]),
  closing(totals.answered, "answered", [
    [totals.answered_human, "human", true],
    [totals.answered_machine, "machine"],
    [totals.answered_unknown, "machine or human, not sure"],
    [totals.answered - totals.answered_human - totals.answered_machine - totals.answered_unknown, "without machine detection"],
  ]),
];

const noted = (totals, receipt) =>
  notes(receipt, [
    ["duplicates", totals.duplicates, "further messages of an attempt that was sent more than once"],
    ["ended_unknown", totals.ended_unknown, "calls whose end nobody saw: a restart or a gap of the PBX"],
    ["ring_no_answer", totals.ring_no_answer, "times that an operator let a queue's call ring"],
  ]);

function causes({ hangup_causes: found, attempted }) {
  const sorted = Object.entries(found).sort((a, b) => b[1] - a[1]);
  return card(
    "Causes",
    "Q.850, of the customer's leg",
    sorted.length
      ? h("ul", { class: "bars" }, sorted.map(([cause, value]) => bar(`hangup_causes.${cause}`, `${cause} ${CAUSES[cause] ?? ""}`, value, attempted)))
      : h("p", { class: "nothing" }, "No call has ended yet."),
  );
}

const lengths = (totals) =>
  card(
    "Time",
    "in all, and a call",
    times(["in all", "each"], [
      lasted("connected", totals, "connected_ms", "answered"),
      lasted("talking", totals, "talk_ms", "connects"),
      lasted("on hold", totals, "hold_ms", "connects"),
      lasted("in queues", totals, "queue_wait_ms", "queue_joins"),
    ]),
  );

const lasted = (words, totals, name, of) => ({ name, words, cells: [[name, totals[name]], [`${name} each`, totals[of] ? totals[name] / totals[of] : null]] });

function drops(totals) {
  const allowed = Math.floor(ALLOWED_DROPS * totals.answered_human);
  const left = allowed - totals.dropped;
  return card(
    "Drops",
    "3 % of human answers at most",
    h(
      "p",
      { class: `big ${left < 0 ? "bad" : ""}` },
      h("span", {}, percent(totals.dropped, totals.answered_human)),
      h("small", {}, left < 0 ? `${count(-left)} too many` : `${count(left)} more would be within 3 %`),
    ),
    h("p", { class: "close" }, number("dropped", totals.dropped), " dropped of ", number("answered_human", totals.answered_human), ` answered by a human; 3 % are ${count(allowed)}`),
  );
}

function bar(name, words, value, of) {
  return h(
    "li",
    { key: name },
    h("span", {}, words),
    h("div", { class: "bar", "aria-hidden": "true" }, h("i", { class: name === "answered" ? "teal" : "t2", css: { "--part": of ? Math.min(1, value / of).toFixed(4) : "0" } })),
    number(name, value),
    h("small", {}, percent(value, of)),
  );
}

function queues(entries) {
  const found = new Map();
  for (const [key, value] of Object.entries(entries)) {
    const slash = key.lastIndexOf("/");
    const queue = key.slice(0, slash);
    if (!found.has(queue)) found.set(queue, {});
    found.get(queue)[key.slice(slash + 1)] = value;
  }
  if (!found.size) return null;
  const all = (part) => [...found.values()].reduce((sum, parts) => sum + (parts[part] ?? 0), 0);
  const cell = (queue, part, value) =>
    h("td", {}, part.endsWith("_ms") ? duration(value) : number(`queues.${queue}/${part}`, value));
  return h(
    "section",
    { class: "card wide scroll", tabindex: "0", "aria-label": "Queues" },
    h("h2", {}, "Queues"),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "queue"), Object.values(PARTS).map((words) => h("th", { scope: "col" }, words)))),
      h("tbody", {}, [...found].sort().map(([queue, parts]) => h("tr", { key: queue }, h("th", { scope: "row" }, h("bdi", {}, queue)), Object.keys(PARTS).map((part) => cell(queue, part, parts[part] ?? 0))))),
    ),
    closing(all("joins"), "joined", [
      [all("connects"), "connected", true],
      [all("abandoned"), "gave up", true],
      [all("timeouts"), "timed out"],
      [all("waiting"), "waiting now", true],
    ]),
  );
}
