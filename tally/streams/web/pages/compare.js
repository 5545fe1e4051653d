// Two campaigns side by side.

import { h } from "./dom.js";
import { ago, count, duration, percent } from "./format.js";
import { address, show } from "./frame.js";
import { Panel } from "./panel.js";
import { reason } from "./reasons.js";

const SIDES = ["a", "b"];
const Z = 1.96; // 95 %, both sides
/** Name, words, what it is a share of. */
const NUMBERS = {
  both: [["contacts", "contacts"], ["attempts", "attempts"]],
  whatsapp: [
    ["accepted", "accepted", "attempts"],
    ["sent", "sent", "accepted"],
    ["delivered", "delivered", "accepted"],
    ["read", "read, at least", "delivered"],
    ["contacts_accepted", "customers reached"],
    ["replied", "replied", "contacts_accepted"],
    ["clicked", "clicked", "delivered"],
  ],
  voice: [
    ["attempted", "dialled", "attempts"],
    ["answered", "answered", "attempted"],
    ["answered_human", "human", "answered"],
    ["connects", "connects"],
    ["dropped", "dropped", "answered_human"],
    ["queue_abandoned", "gave up in a queue", "queue_joins"],
  ],
  failed: [["failed", "failed", "attempts"]],
};
const TIMES = [["time_to_deliver", "to be delivered"], ["time_to_read", "to be read"]];

export function showCompare(tenant) {
  const query = new URLSearchParams(location.search);
  const chosen = { a: query.get("a"), b: query.get("b") };
  const again = show({
    tenant,
    query: "campaigns=1",
    name: "compare",
    title: () => "Two campaigns · Tally",
    draw: (live) => draw(live, tenant, chosen, () => again()),
  });
  chosen.others = new Panel(() => again());
}

function draw(live, tenant, chosen, again) {
  if (!live.campaigns.size) {
    return [h("h1", {}, "Two campaigns"), h("section", { class: "notice" }, h("p", {}, "Nothing is counted for this tenant yet. The first send result or call shows here by itself."))];
  }
  const choose = (side, campaign) => {
    chosen[side] = campaign;
    history.replaceState(null, "", `/compare?${new URLSearchParams({ tenant, ...(chosen.a && { a: chosen.a }), ...(chosen.b && { b: chosen.b }) })}`);
    again();
  };
  const found = SIDES.map((side) => entry(live, tenant, chosen, chosen[side]));
  return [
    h("div", { class: "headline" }, h("h1", {}, "Two campaigns")),
    h("div", { class: "sides" }, SIDES.map((side, index) => picked(live, side, chosen[side], found[index], choose, tenant))),
    found.every(Boolean) ? compared(found) : h("section", { class: "notice" }, h("p", {}, missing(chosen, found))),
  ];
}

/** A campaign's entry: of the stream, or, where that has the newest 500 alone, asked for by itself. */
function entry(live, tenant, chosen, id) {
  if (!id) return undefined;
  const streamed = live.campaigns.get(id);
  if (streamed || !live.more.campaigns) return streamed;
  const old = SIDES.map((side) => chosen[side]).filter((one) => one && !live.campaigns.has(one));
  chosen.others.show(`/v1/tenants/${encodeURIComponent(tenant)}/campaigns?${new URLSearchParams(old.map((one) => ["id", one]))}`);
  return chosen.others.answer?.campaigns.find((one) => one.campaign === id);
}

function missing(chosen, found) {
  const unknown = SIDES.find((side, index) => chosen[side] && !found[index]);
  return unknown ? `Nothing is counted for ${chosen[unknown]}.` : "Choose two campaigns.";
}

const called = (one) => one.name ?? one.campaign;

const choosing = {}; // the choice of each side: the same node while its campaigns are, of which there may be 500

function choice(live, side, id, one, choose) {
  const options = [...live.campaigns.values()];
  if (id && !live.campaigns.has(id)) options.push(one ?? { campaign: id });
  const key = JSON.stringify([id, ...options.map((each) => [each.campaign, each.name])]);
  if (choosing[side]?.key !== key) {
    options.sort((a, b) => (called(a).toLowerCase() < called(b).toLowerCase() ? -1 : 1));
    const node = h(
      "select",
      { "aria-label": side === "a" ? "First campaign" : "Second campaign", onchange: (event) => choose(side, event.target.value) },
      h("option", { value: "", selected: !id, disabled: true }, "Choose a campaign"),
      options.map((each) => h("option", { key: each.campaign, value: each.campaign, selected: each.campaign === id }, called(each))),
    );
    choosing[side] = { key, node };
  }
  return choosing[side].node;
}

function picked(live, side, id, one, choose, tenant) {
  return h(
    "section",
    { class: "card", key: side },
    choice(live, side, id, one, choose),
    one && h("p", { class: "sub" }, h("a", { href: address(`/c/${encodeURIComponent(one.campaign)}`, tenant) }, "open"), ` · ${[one.channel === "voice" ? "voice" : "WhatsApp", one.status, ...one.tags].filter(Boolean).join(" · ")} · began ${ago(Date.parse(one.first_activity), live.now)}, last active ${ago(Date.parse(one.last_activity), live.now)}`),
  );
}

function compared(found) {
  const channels = new Set(found.map((one) => one.channel));
  const shown = [...NUMBERS.both, ...["whatsapp", "voice"].filter((one) => channels.has(one)).flatMap((one) => NUMBERS[one]), ...NUMBERS.failed];
  const names = found.map((one, index) => h("th", { scope: "col", title: called(one) }, h("bdi", { class: "cut" }, called(one)), h("small", {}, SIDES[index].toUpperCase())));
  return h(
    "div",
    { class: "card scroll", tabindex: "0", role: "region", "aria-label": "The two campaigns" },
    h(
      "table",
      { class: "compared" },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, ""), names, h("th", { scope: "col" }, "difference of shares"))),
      h("tbody", {}, shown.map((one) => line(one, found)), channels.has("whatsapp") && TIMES.map(([name, words]) => took(name, words, found)), failures(found)),
    ),
    h("p", { class: "close" }, "Shares are of the number above that is named beside them. A difference in bold is more than chance, with 95 % confidence; the others may be none. A campaign that has begun later has had less time to be read and answered."),
  );
}

function line([name, words, of], found) {
  const cell = ({ campaign, totals }) =>
    totals[name] === undefined
      ? h("td", { class: "none" }, "–")
      : h("td", { "data-campaign": campaign }, h("b", { flash: totals[name], "data-number": name }, count(totals[name])), of && h("small", {}, percent(totals[name], totals[of])));
  const sides = found.map(({ totals }) => [totals[name], totals[of]]);
  return h("tr", { key: name }, h("th", { scope: "row" }, words, of && h("small", {}, `of ${of.replaceAll("_", " ")}`)), found.map(cell), h("td", {}, of && difference(...sides)));
}

/** How much larger the second share is, in points; bold where it is more than chance (Newcombe, Stat. Med. 17, 1998). */
function difference([part, of], [otherPart, otherOf]) {
  // One of another channel may have what it would be a share of, and not the number itself.
  if (part === undefined || otherPart === undefined || !of || !otherOf) return "–";
  const [p, q] = [part / of, otherPart / otherOf].map((one) => Math.min(1, one));
  const [low, high] = wilson(p, of);
  const [otherLow, otherHigh] = wilson(q, otherOf);
  const points = q - p;
  const least = points - Math.hypot(q - otherLow, high - p);
  const most = points + Math.hypot(otherHigh - q, p - low);
  const text = `${points < 0 ? "−" : "+"} ${Math.abs(100 * points).toFixed(1)} points`;
  return least > 0 || most < 0 ? h("strong", {}, text) : h("span", {}, text);
}

function wilson(p, of) {
  const middle = p + (Z * Z) / (2 * of);
  const spread = Z * Math.sqrt((p * (1 - p)) / of + (Z * Z) / (4 * of * of));
  return [(middle - spread) / (1 + (Z * Z) / of), (middle + spread) / (1 + (Z * Z) / of)];
}

function took(name, words, found) {
  const cell = ({ campaign, totals }) => h("td", { "data-campaign": campaign, "data-time": name }, duration(totals[name]?.p50_ms));
  return h("tr", { key: name }, h("th", { scope: "row" }, words, h("small", {}, "half within")), found.map(cell), h("td", {}));
}

/** The three reasons that most of the failures of both have. */
function failures(found) {
  const sums = new Map();
  for (const { totals } of found) for (const [key, value] of Object.entries(totals.errors)) sums.set(key, (sums.get(key) ?? 0) + value);
  const most = [...sums].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, 3);
  return most.map(([key]) => {
    const { code, words } = reason(key);
    const cell = ({ campaign, totals }) => h("td", { "data-campaign": campaign }, h("b", { "data-number": `errors.${key}` }, count(totals.errors[key] ?? 0)), h("small", {}, percent(totals.errors[key] ?? 0, totals.failed)));
    const sides = found.map(({ totals }) => [totals.errors[key] ?? 0, totals.failed]);
    return h("tr", { key }, h("th", { scope: "row" }, `${code} ${words}`, h("small", {}, "of failed")), found.map(cell), h("td", {}, difference(...sides)));
  });
}
