// The page of a WhatsApp campaign.

import { card, closing, funnel, heading, notes, number, pace, progress, reasons, said, templates } from "./campaign.js";
import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";

const COLUMNS = [
  { name: "attempts", label: "attempts" },
  { name: "accepted", label: "accepted" },
  { name: "delivered", label: "delivered", of: "accepted" },
  { name: "read", label: "read", of: "delivered", atLeast: true },
  { name: "replied", label: "replied", of: "contacts_accepted" },
  { name: "clicked", label: "clicked", of: "delivered" },
  { name: "failed", label: "failed", of: "attempts" },
];

export function drawWhatsApp(campaign, receipt, nowMs) {
  const { totals } = campaign;
  return [
    heading(campaign.name ?? campaign.campaign),
    h(
      "p",
      { class: "sub" },
      "WhatsApp · ",
      number("contacts", totals.contacts),
      " contacts · ",
      number("contacts_accepted", totals.contacts_accepted),
      " customers reached · ",
      number("in_flight", totals.in_flight),
      " in flight",
      totals.queued > 0 && [" · ", number("queued", totals.queued), " queued"],
      pace(campaign, nowMs),
      said(campaign),
    ),
    progress(campaign),
    h(
      "div",
      { class: "grid" },
      card(
        "Funnel",
        "counts and rates",
        funnel(
          [
            { name: "attempts", label: "Attempts", value: totals.attempts, tone: "t1" },
            { name: "accepted", label: "Accepted", value: totals.accepted, of: totals.attempts, ofWhat: "attempts", tone: "t2" },
            { name: "sent", label: "Sent", value: totals.sent, of: totals.accepted, ofWhat: "accepted", tone: "t3" },
            { name: "delivered", label: "Delivered", value: totals.delivered, of: totals.accepted, ofWhat: "accepted", tone: "t4" },
            { name: "read", label: "Read", value: totals.read, of: totals.delivered, ofWhat: "delivered", atLeast: true, tone: "teal" },
            { name: "replied", label: "Replied", value: totals.replied, of: totals.contacts_accepted, ofWhat: "customers", tone: "violet" },
          ],
          Math.max(totals.attempts, totals.accepted),
        ),
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
      ),
      reasons(totals),
      templates(campaign, COLUMNS, "Templates"),
      card(
        "How long it took",
        "from the acceptance of a message",
        h(
          "table",
          { class: "times" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), ["half within", "95 % within", "99 % within", "of"].map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", {}, took("to be delivered", "time_to_deliver", totals.time_to_deliver), took("to be read", "time_to_read", totals.time_to_read)),
        ),
      ),
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
      ),
      notes(receipt, [
        ["delivered_implied", totals.delivered_implied, "read without a delivered status: counted as delivered"],
        ["failed_then_delivered", totals.failed_then_delivered, "failed, then delivered all the same: counted as delivered"],
        ["duplicates", totals.duplicates, "further messages of an attempt that was sent more than once"],
        ["claimed_elsewhere", totals.claimed_elsewhere, "messages that another attempt claimed first: they count there"],
        ["clicked_implied", totals.clicked_implied, "pressed buttons whose message was inferred"],
        ["time_to_deliver.negative", totals.time_to_deliver.negative, "delivered before they were accepted, by the clocks of two machines"],
        ["time_to_read.negative", totals.time_to_read.negative, "read before they were accepted, by the clocks of two machines"],
      ]),
      priced(totals.pricing),
    ),
  ];
}

const did = (name, value, words) => h("li", { key: name }, number(name, value), ` ${words}`);

function took(what, name, summary) {
  const cell = (part) => h("td", { "data-time": `${name}.${part}` }, duration(summary[`${part}_ms`]));
  return h("tr", { key: name }, h("th", { scope: "row" }, what), cell("p50"), cell("p95"), cell("p99"), h("td", {}, number(`${name}.count`, summary.count)));
}

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
