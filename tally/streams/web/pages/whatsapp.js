// The page of a WhatsApp campaign.

import { h } from "./dom.js";
import { count, percent } from "./format.js";
import { card, closing, coming, funnel, headed, notes, number, reasons, templates, times } from "./parts.js";

const COLUMNS = [
  { name: "attempts", label: "attempts" },
  { name: "accepted", label: "accepted" },
  { name: "delivered", label: "delivered", of: "accepted" },
  { name: "read", label: "read", of: "delivered", atLeast: true },
  { name: "replied", label: "replied", of: "contacts_accepted" },
  { name: "clicked", label: "clicked", of: "delivered" },
  { name: "failed", label: "failed", of: "attempts" },
];

const PLACES = [
  { name: "accepted", label: "accepted" },
  { name: "delivered", label: "delivered", of: "accepted" },
  { name: "read", label: "read", of: "delivered", atLeast: true },
  { name: "failed", label: "failed", of: "attempts" },
];
const LINES = [
  { name: "delivered", label: "delivered", tone: "blue" },
  { name: "read", label: "read", tone: "teal" },
  { name: "replied", label: "replied", tone: "violet" },
  { name: "failed", label: "failed", tone: "red" },
  { name: "accepted", label: "accepted", tone: "grey" },
];

/** What its panels show. */
export const ASKED = { lines: LINES, places: PLACES, areMessages: true };

/** The page; `panels` are null while their scripts are on their way. */
export function draw(live, panels) {
  const { campaign, receipt, progress, now } = live;
  const { totals } = campaign;
  return [
    headed(campaign, live, "WhatsApp", [
      [number("contacts", totals.contacts), " contacts"],
      [number("contacts_accepted", totals.contacts_accepted), " customers reached"],
      [number("in_flight", totals.in_flight), " in flight"],
      totals.queued > 0 && [number("queued", totals.queued), " queued"],
    ]),
    h(
      "div",
      { class: "grid" },
      card("Funnel", "counts and rates", funnel(steps(totals), Math.max(totals.attempts, totals.accepted)), sums(totals)),
      reasons(campaign),
      panels ? panels.overTime.draw(progress, now) : coming("Over time"),
      templates(campaign, COLUMNS, "Templates", (template) => panels?.costs.ofTemplate(template)),
      panels && [
        h("div", { class: "wide halves" }, panels.markets.draw(now), panels.numbers.draw(now)),
        panels.sameAge.draw(now),
        panels.costs.draw(now),
        card("How long it took", "from the acceptance of a message", times(["half within", "95 % within", "99 % within", "of"], [took("to be delivered", "time_to_deliver", totals), took("to be read", "time_to_read", totals)])),
        people(totals),
        noted(totals, receipt),
        priced(totals.pricing),
      ],
    ),
  ];
}

const steps = (totals) => [
  { name: "attempts", label: "Attempts", value: totals.attempts, tone: "t1" },
  { name: "accepted", label: "Accepted", value: totals.accepted, of: totals.attempts, ofWhat: "attempts", tone: "t2" },
  { name: "sent", label: "Sent", value: totals.sent, of: totals.accepted, ofWhat: "accepted", tone: "t3" },
  { name: "delivered", label: "Delivered", value: totals.delivered, of: totals.accepted, ofWhat: "accepted", tone: "t4" },
  { name: "read", label: "Read", value: totals.read, of: totals.delivered, ofWhat: "delivered", atLeast: true, tone: "teal" },
  { name: "replied", label: "Replied", value: totals.replied, of: totals.contacts_accepted, ofWhat: "customers", tone: "violet" },
];

const sums = (totals) => [
  closing(totals.attempts, "attempts", [
    [totals.accepted, "accepted", true],
    [totals.failed_at_send, "failed at send", true],
    [totals.skipped, "skipped"],
    [totals.cancelled, "cancelled"],
    [totals.queued, "queued"],
    [totals.claimed_elsewhere, "claimed elsewhere"],
    [-totals.duplicates, "sent more than once"],
  ]),
  closing(totals.accepted, "accepted", [
    [totals.delivered, "delivered", true],
    [totals.failed_after_send, "failed after send", true],
    [totals.in_flight, "in flight", true],
  ]),
];

function took(words, name, totals) {
  const summary = totals[name];
  const cells = ["p50", "p95", "p99"].map((part) => [`${name}.${part}_ms`, summary[`${part}_ms`]]);
  return { name, words, cells: [...cells, [`${name}.count`, number(`${name}.count`, summary.count)]] };
}

const people = (totals) =>
  card(
    "What people did",
    "",
    h(
      "ul",
      { class: "notes" },
      did("replied", totals.replied, `customers replied, ${percent(totals.replied, totals.contacts_accepted)} of those reached`),
      did("replied_last_touch", totals.replied_last_touch, "of them after this campaign's message as the last one"),
      did("replied_quoted", totals.replied_quoted, "messages were quoted in a reply"),
      did("clicked", totals.clicked, `messages with a button pressed, ${percent(totals.clicked, totals.delivered)} of delivered`),
    ),
  );

const did = (name, value, words) => h("li", { key: name }, number(name, value), ` ${words}`);

const noted = (totals, receipt) =>
  notes(receipt, [
    ["delivered_late", totals.delivered_late, "delivered more than 24 hours after they were accepted"],
    ["read_late", totals.read_late, "read more than 24 hours after they were accepted"],
    ["delivered_implied", totals.delivered_implied, "read without a delivered status: counted as delivered"],
    ["failed_then_delivered", totals.failed_then_delivered, "failed, then delivered all the same: counted as delivered"],
    ["duplicates", totals.duplicates, "further messages of an attempt that was sent more than once"],
    ["claimed_elsewhere", totals.claimed_elsewhere, "messages that another attempt claimed first: they count there"],
    ["clicked_implied", totals.clicked_implied, "pressed buttons whose message was inferred"],
    ["time_to_deliver.negative", totals.time_to_deliver.negative, "delivered before they were accepted, by the clocks of two machines"],
    ["time_to_read.negative", totals.time_to_read.negative, "read before they were accepted, by the clocks of two machines"],
  ]);

function priced(pricing) {
  const found = Object.entries(pricing).sort((a, b) => b[1] - a[1]);
  const sum = found.reduce((all, [, value]) => all + value, 0);
  return card(
    "Priced messages",
    found.length ? `${count(sum)} in all` : "",
    found.length
      ? h("ul", { class: "notes" }, found.map(([key, value]) => h("li", { key }, number(`pricing.${key}`, value), ` ${key.replace("/", ", ").replaceAll("_", " ")}`)))
      : h("p", { class: "nothing" }, "No status has told a price yet."),
  );
}
