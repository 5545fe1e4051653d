// The list of campaigns.

import { h } from "./dom.js";
import { ago, count, moment, percent } from "./format.js";
import { address, show } from "./frame.js";
import { age, Panel } from "./panel.js";
import { reason } from "./reasons.js";

const SORT_MS = 30000;
const CHANNELS = [["all", "All channels"], ["whatsapp", "WhatsApp"], ["voice", "Voice"]];
const ORDER_NAMES = [["newest", "Newest activity"], ["failed", "Most failed"], ["name", "Name"]];
const CHOSEN = { filter: "", channel: "all", status: "all", tag: "all", sort: "newest" };

export function showCampaigns(tenant) {
  const inAddress = new URLSearchParams(location.search);
  const list = { ...CHOSEN, order: [], sortedMs: 0 };
  for (const name of Object.keys(CHOSEN)) list[name] = inAddress.get(name) ?? CHOSEN[name];
  if (!(list.sort in ORDERS)) list.sort = CHOSEN.sort;
  const again = show({
    tenant,
    query: "campaigns=1",
    name: "campaigns",
    title: () => `Campaigns of ${tenant} · Tally`,
    draw: (live) => draw(live, tenant, list, () => again()),
  });
  list.activity = new Panel(() => again());
}

/** Keep what is chosen in the address: it can be sent to others, and holds when the page is loaded again. */
function remember(tenant, list) {
  const chosen = Object.keys(CHOSEN).filter((name) => list[name] !== CHOSEN[name]);
  history.replaceState(null, "", `/?${new URLSearchParams([["tenant", tenant], ...chosen.map((name) => [name, list[name]])])}`);
}

function draw(live, tenant, list, again) {
  const choose = (changes) => {
    Object.assign(list, changes, { sortedMs: 0 });
    remember(tenant, list);
    again();
  };
  if (!live.campaigns.size) {
    return [
      h("h1", {}, "Campaigns"),
      h("section", { class: "notice" }, h("p", {}, "Nothing is counted for this tenant yet. The first send result or call shows here by itself.")),
    ];
  }
  list.activity.show(`/v1/tenants/${encodeURIComponent(tenant)}/activity`);
  const all = [...live.campaigns.values()];
  const shown = ordered(live, list).filter((one) => isChosen(one, list));
  const failing = all.filter((one) => one.failure_share.is_high).length;
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
          value: list.filter,
          oninput: (event) => choose({ filter: event.target.value }),
        }),
        select("Channel", CHANNELS, list.channel, (channel) => choose({ channel })),
        choice("Status", "Any status", all.map((one) => one.status), list.status, (status) => choose({ status })),
        choice("Tag", "Any tag", all.flatMap((one) => one.tags), list.tag, (tag) => choose({ tag })),
        select("Order", ORDER_NAMES, list.sort, (sort) => choose({ sort })),
      ),
    ),
    h(
      "p",
      { class: "sub" },
      `${count(shown.length)} of ${count(live.campaigns.size)}${live.more.campaigns ? ", those with the newest activity" : ""}`,
      failing > 0 && [" · ", h("span", { class: "bad" }, `${count(failing)} with surely more than 10 % failed`)],
      " · 24 hours as of ",
      age(list.activity, live.now),
    ),
    shown.length ? table(shown, live, list, tenant) : h("section", { class: "notice" }, h("p", {}, "No campaign fits this filter.")),
  ];
}

/** A choice: `options` are [value, text]. An object would put those that are numbers first. */
function select(label, options, chosen, choose) {
  return h(
    "select",
    { "aria-label": label, onchange: (event) => choose(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
}

/** A choice among what campaigns have, and what is chosen; none where they have nothing. */
function choice(label, any, found, chosen, choose) {
  const values = [...new Set([...found, chosen].filter((one) => one && one !== "all"))].sort();
  return values.length > 0 && select(label, [["all", any], ...values.map((one) => [one, one])], chosen, choose);
}

function isChosen(one, list) {
  if (list.channel !== "all" && one.channel !== list.channel) return false;
  if (list.status !== "all" && (one.status ?? "") !== list.status) return false;
  if (list.tag !== "all" && !one.tags.includes(list.tag)) return false;
  const wanted = list.filter.trim().toLowerCase();
  return `${one.campaign}\n${one.name ?? ""}`.toLowerCase().includes(wanted);
}

const share = (one) => one.failure_share.value ?? 0;
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

function table(shown, live, list, tenant) {
  const sent = new Map((list.activity.answer?.campaigns ?? []).map((one) => [one.campaign, one.sent]));
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
          ["contacts", "accepted", "delivered", "read", "replied", "failed, mostly why"].map((name) => h("th", { scope: "col" }, name)),
          h("th", { scope: "col", class: "spark" }, "24 hours"),
          h("th", { scope: "col" }, "last activity"),
        ),
      ),
      h("tbody", {}, shown.map((one) => row(one, sent.get(one.campaign), live.now, tenant))),
    ),
  );
}

const rows = new WeakMap();

/** A campaign's row; the same one as before while nothing in it changes, so that 500 rows cost little. */
function row(one, sent, nowMs, tenant) {
  const lastMs = Date.parse(one.last_activity);
  const when = ago(lastMs, nowMs);
  const known = rows.get(one);
  if (known?.when === when && known.sent === sent) return known.node;
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
      { "data-name": "failed", class: one.failure_share.is_high ? "bad" : "" },
      h("b", { flash: totals.failed, "data-number": "failed" }, count(totals.failed)),
      h("small", {}, percent(totals.failed, one.failure_share.sends)),
      most && h("small", { class: "why", title: `most of them: ${reason(most[0]).words}` }, reason(most[0]).words),
    ),
    h("td", { class: "spark", "data-name": "sent in 24 hours" }, sent && sparkline(sent)),
    h("td", { class: "when", "data-name": "last activity", title: moment(lastMs) }, when),
  );
  rows.set(one, { when, sent, node });
  return node;
}

const SVG = "http://www.w3.org/2000/svg";
const drawn = new Map(); // by its numbers: most campaigns send nothing, and none changes within ten seconds

/** A line of what was sent in each of 24 hours; the highest is the row's own. */
function sparkline(sent) {
  const key = sent.join();
  if (!drawn.has(key)) {
    if (drawn.size > 1000) drawn.clear();
    const sum = sent.reduce((all, one) => all + one, 0);
    drawn.set(key, h("span", { role: "img", "aria-label": `${count(sum)} sent in 24 hours, ${count(Math.max(...sent))} in the busiest one`, title: `${count(sum)} sent in 24 hours`, "data-sent": key, paint: { by: paintSparkline, data: sent } }));
  }
  return drawn.get(key);
}

function paintSparkline(element, sent) {
  const most = Math.max(1, ...sent);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 96 22");
  const bars = sent.map((one, hour) => (one ? `M${4 * hour} 22v-${Math.max(1.5, (21 * one) / most).toFixed(1)}h3V22z` : `M${4 * hour} 22v-.8h3V22z`));
  svg.appendChild(document.createElementNS(SVG, "path")).setAttribute("d", bars.join(""));
  element.replaceChildren(svg);
}
