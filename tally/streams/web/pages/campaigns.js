// The list of campaigns.

import { h } from "./dom.js";
import { ago, count, moment, percent, surelyAbove } from "./format.js";
import { address, show } from "./frame.js";
import { reason } from "./reasons.js";

const TOO_MANY = 0.1;
const SORT_MS = 30000;

export function showCampaigns(tenant) {
  const list = { order: [], sortedMs: 0, filter: "", channel: "all", status: "all", tag: "all", sort: "newest" };
  const again = show({
    tenant,
    query: "campaigns=1",
    name: "campaigns",
    title: () => `Campaigns of ${tenant} · Tally`,
    draw: (live) => draw(live, tenant, list, () => again()),
  });
}

function draw(live, tenant, list, again) {
  const choose = (changes) => {
    Object.assign(list, changes, { sortedMs: 0 });
    again();
  };
  if (!live.campaigns.size) {
    return [
      h("h1", {}, "Campaigns"),
      h("section", { class: "notice" }, h("p", {}, "Nothing is counted for this tenant yet. The first send result or call shows here by itself.")),
    ];
  }
  const all = [...live.campaigns.values()];
  const shown = ordered(live, list).filter((one) => isChosen(one, list));
  return [
    h(
      "div",
      { class: "headline" },
      h("h1", {}, "Campaigns"),
      h(
        "div",
        { class: "choices" },
        h("input", {
          type: "search",
          placeholder: "Filter by name",
          "aria-label": "Filter by name",
          oninput: (event) => choose({ filter: event.target.value }),
        }),
        select("Channel", { all: "All channels", whatsapp: "WhatsApp", voice: "Voice" }, (channel) => choose({ channel })),
        choice("Status", "Any status", all.map((one) => one.status), (status) => choose({ status })),
        choice("Tag", "Any tag", all.flatMap((one) => one.tags), (tag) => choose({ tag })),
        select("Order", { newest: "Newest activity", failed: "Most failed", name: "Name" }, (sort) => choose({ sort })),
      ),
    ),
    h(
      "p",
      { class: "sub" },
      `${count(shown.length)} of ${count(live.campaigns.size)}${live.more.campaigns ? ", those with the newest activity" : ""}`,
    ),
    shown.length ? table(shown, live, tenant) : h("section", { class: "notice" }, h("p", {}, "No campaign fits this filter.")),
  ];
}

function select(label, options, choose) {
  return h(
    "select",
    { "aria-label": label, onchange: (event) => choose(event.target.value) },
    Object.entries(options).map(([value, text]) => h("option", { value }, text)),
  );
}

/** A choice among what campaigns have; none where they have nothing. */
function choice(label, any, found, choose) {
  const values = [...new Set(found.filter(Boolean))].sort();
  return values.length > 0 && select(label, { all: any, ...Object.fromEntries(values.map((one) => [one, one])) }, choose);
}

function isChosen(one, list) {
  if (list.channel !== "all" && one.channel !== list.channel) return false;
  if (list.status !== "all" && (one.status ?? "") !== list.status) return false;
  if (list.tag !== "all" && !one.tags.includes(list.tag)) return false;
  const wanted = list.filter.trim().toLowerCase();
  return `${one.campaign}\n${one.name ?? ""}`.toLowerCase().includes(wanted);
}

const share = (one) => one.totals.failed / Math.max(1, one.totals.attempts);
const newest = (a, b) => (a.last_activity < b.last_activity ? 1 : a.last_activity > b.last_activity ? -1 : 0);
const called = (one) => (one.name ?? one.campaign).toLowerCase();
const named = (a, b) => (called(a) < called(b) ? -1 : called(a) > called(b) ? 1 : a.campaign < b.campaign ? -1 : 1);
const ORDERS = {
  newest: (a, b) => newest(a, b) || named(a, b),
  failed: (a, b) => share(b) - share(a) || named(a, b),
  name: named,
};

/** Campaigns in an order that stands still under the reader's eyes: rows move now and then, new ones come on top. */
function ordered(live, list) {
  const isRead = document.querySelector("main table:is(:hover, :focus-within)") !== null;
  if (!list.sortedMs || (!isRead && Date.now() - list.sortedMs > SORT_MS)) {
    list.order = [...live.campaigns.values()].sort(ORDERS[list.sort]).map((one) => one.campaign);
    list.sortedMs = Date.now();
  } else {
    const known = new Set(list.order);
    list.order.unshift(...[...live.campaigns.keys()].filter((id) => !known.has(id)));
  }
  return list.order.map((id) => live.campaigns.get(id)).filter(Boolean);
}

function table(shown, live, tenant) {
  return h(
    "div",
    { class: "card scroll", tabindex: "0", role: "region", "aria-label": "Campaigns" },
    h(
      "table",
      { class: "campaigns" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          h("th", { scope: "col" }, "campaign"),
          ["contacts", "accepted", "delivered", "read", "replied", "failed"].map((name) => h("th", { scope: "col" }, name)),
          h("th", { scope: "col", class: "why" }, "most of them"),
          h("th", { scope: "col" }, "last activity"),
        ),
      ),
      h("tbody", {}, shown.map((one) => row(one, live.now, tenant))),
    ),
  );
}

const rows = new WeakMap();

/** A campaign's row; the same one as before while nothing in it changes, so that 500 rows cost little. */
function row(one, nowMs, tenant) {
  const lastMs = Date.parse(one.last_activity);
  const when = ago(lastMs, nowMs);
  const known = rows.get(one);
  if (known?.when === when) return known.node;
  const { totals } = one;
  const isVoice = one.channel === "voice";
  const [most] = Object.entries(totals.errors).sort((a, b) => b[1] - a[1]);
  const cell = (name, number, of, atLeast = "") =>
    h(
      "td",
      { "data-name": name },
      h("b", { flash: number, "data-number": name }, count(number)),
      of !== undefined && h("small", {}, `${of ? atLeast : ""}${percent(number, of)}`),
    );
    const node = h(
    "tr",
    { key: one.campaign, "data-campaign": one.campaign },
    h(
      "th",
      { scope: "row" },
      h(
        "a",
        { href: address(`/c/${encodeURIComponent(one.campaign)}`, tenant), title: one.campaign },
        h("i", { class: `dot ${when === "now" ? "active" : ""}`, "aria-hidden": "true" }),
        h("bdi", {}, one.name ?? one.campaign),
      ),
      h("small", {}, [isVoice ? "voice" : "WhatsApp", one.status, ...one.tags].filter(Boolean).join(" · ")),
    ),
    cell("contacts", totals.contacts),
    isVoice
      ? [h("td", { colspan: "2", class: "spoken", "data-name": "dialled" }, h("b", { flash: totals.attempted, "data-number": "attempted" }, count(totals.attempted)), h("small", {}, "dialled")),
         h("td", { colspan: "2", class: "spoken", "data-name": "answered" }, h("b", { flash: totals.answered, "data-number": "answered" }, count(totals.answered)), h("small", {}, `answered, ${percent(totals.answered, totals.attempted)}`))]
      : [cell("accepted", totals.accepted), cell("delivered", totals.delivered, totals.accepted), cell("read", totals.read, totals.delivered, "≥ "), cell("replied", totals.replied, totals.contacts_accepted)],
    h(
      "td",
      { "data-name": "failed", class: surelyAbove(totals.failed, totals.attempts, TOO_MANY) ? "bad" : "" },
      h("b", { flash: totals.failed, "data-number": "failed" }, count(totals.failed)),
      h("small", {}, percent(totals.failed, totals.attempts)),
    ),
    h("td", { class: "why", "data-name": "most of them" }, most ? reason(most[0]).words : ""),
    h("td", { class: "when", "data-name": "last activity", title: moment(lastMs) }, when),
  );
  rows.set(one, { when, node });
  return node;
}
