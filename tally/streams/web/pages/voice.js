// The page of a voice campaign.

import { card, closing, funnel, heading, notes, number, pace, progress, reasons, said, templates } from "./campaign.js";
import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { CAUSES } from "./reasons.js";

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

export function drawVoice(campaign, receipt, nowMs) {
  const { totals } = campaign;
  const ended = Object.keys(OUTCOMES).reduce((sum, name) => sum + totals[name], 0);
  return [
    heading(campaign.name ?? campaign.campaign),
    h(
      "p",
      { class: "sub" },
      "Voice · ",
      number("contacts", totals.contacts),
      " contacts · ",
      h("b", { class: "n" }, count(totals.attempted - ended)),
      " ringing now or waiting for their end",
      pace(campaign, nowMs),
      said(campaign),
    ),
    progress(campaign),
    h(
      "div",
      { class: "grid" },
      card(
        "From attempt to person",
        "counts and rates",
        funnel(
          [
            { name: "attempts", label: "Attempts", value: totals.attempts, tone: "t1" },
            { name: "attempted", label: "Dialled", value: totals.attempted, of: totals.attempts, ofWhat: "attempts", tone: "t2" },
            { name: "answered", label: "Answered", value: totals.answered, of: totals.attempted, ofWhat: "dialled", tone: "t4" },
            { name: "answered_human", label: "Human", value: totals.answered_human, of: totals.answered, ofWhat: "answered", tone: "teal" },
            { name: "connects", label: "Connects", value: totals.connects, tone: "violet" },
          ],
          Math.max(totals.attempts, totals.attempted, totals.connects),
        ),
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
      ),
      drops(totals),
      card(
        "Outcomes",
        "of the attempts that were dialled",
        h("ul", { class: "bars" }, Object.entries(OUTCOMES).map(([name, words]) => bar(name, words, totals[name], totals.attempted))),
      ),
      card(
        "Causes",
        "Q.850, of the customer's leg",
        h(
          "ul",
          { class: "bars" },
          Object.entries(totals.hangup_causes)
            .sort((a, b) => b[1] - a[1])
            .map(([cause, value]) => bar(`hangup_causes.${cause}`, `${cause} ${CAUSES[cause] ?? ""}`, value, totals.attempted)),
        ),
        Object.keys(totals.hangup_causes).length === 0 && h("p", { class: "nothing" }, "No call has ended yet."),
      ),
      queues(totals.queues),
      templates(campaign, COLUMNS, "Scripts"),
      card(
        "Time",
        "in all, and a call",
        h(
          "table",
          { class: "times" },
          h("thead", {}, h("tr", {}, ["", "in all", "each"].map((name) => h("th", { scope: "col" }, name)))),
          h(
            "tbody",
            {},
            lasted("connected", totals.connected_ms, totals.answered, "connected_ms"),
            lasted("talking with operators", totals.talk_ms, totals.connects, "talk_ms"),
            lasted("on hold", totals.hold_ms, totals.connects, "hold_ms"),
            lasted("waiting in queues", totals.queue_wait_ms, totals.queue_joins, "queue_wait_ms"),
          ),
        ),
      ),
      notes(receipt, [
        ["duplicates", totals.duplicates, "further messages of an attempt that was sent more than once"],
        ["ended_unknown", totals.ended_unknown, "calls whose end nobody saw: a restart or a gap of the PBX"],
        ["ring_no_answer", totals.ring_no_answer, "times that an operator let a queue's call ring"],
      ]),
      totals.failed > 0 && reasons(totals),
    ),
  ];
}

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

function lasted(words, ms, each, name) {
  return h("tr", { key: name }, h("th", { scope: "row" }, words), h("td", { "data-time": name }, duration(ms)), h("td", {}, each ? duration(ms / each) : "–"));
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
