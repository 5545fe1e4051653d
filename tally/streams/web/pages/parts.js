// The parts that pages of campaigns are made of.

import { h } from "./dom.js";
import { ago, count, day, duration, percent, time } from "./format.js";
import { reason } from "./reasons.js";

/** A campaign's name. */
export const heading = (name) => h("h1", { class: "name", title: name }, h("bdi", {}, name));

/** What stands above all cards; `words` are those of the channel. */
export function headed(campaign, live, channel, words) {
  const { name, tags } = campaign;
  const stands = live.progress;
  const tagged = tags.map((one) => h("span", { class: "tag", key: `tag ${one}` }, h("bdi", {}, one)));
  return [
    h("div", { class: "headline" }, heading(name ?? campaign.campaign), h("a", { class: "quiet", href: beside(live.tenant, campaign.campaign) }, "Compare")),
    h("p", { class: "sub" }, dotted([channel, ...(stands ? standing(stands, live.now) : []), name && h("bdi", {}, campaign.campaign)])),
    h("p", { class: "sub facts" }, dotted(words), tagged),
    stands?.planned > 0 && h("div", { class: "progress", "aria-hidden": "true" }, h("i", { css: { "--part": Math.min(1, stands.done / stands.planned).toFixed(4) } })),
  ];
}

const beside = (tenant, campaign) => `/compare?${new URLSearchParams({ tenant, a: campaign })}`;

/** Parts with dots between them, without those that are nothing. */
export const dotted = (parts) => parts.filter(Boolean).map((one, index) => [index > 0 && " · ", one]);

function standing(stands, nowMs) {
  const { status, planned, done, per_second_10s: rate, left_seconds: left, last_activity: last } = stands;
  const isGoing = rate > 0;
  return [
    status && h("b", {}, h("bdi", {}, status)),
    planned && [h("b", { class: "n", "data-stands": "done" }, count(done)), ` of ${count(planned)} planned`],
    isGoing && h("b", { class: "n" }, `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))}/s`),
    isGoing && left > 0 && ["done in about ", h("b", { class: "n" }, duration(Math.max(10000, 1000 * left)))],
    `started ${since(Date.parse(stands.first_activity), nowMs)}`,
    !isGoing && nowMs - Date.parse(last) > 60000 && `last activity ${ago(Date.parse(last), nowMs)}`,
    stands.may_change_until && `may still change until ${day(Date.parse(stands.may_change_until))}`,
  ];
}

const since = (ms, nowMs) => (nowMs - ms < 12 * 3600000 ? time(ms).slice(0, 5) : `${day(ms)}, ${time(ms).slice(0, 5)}`);

/** A number of the answer, marked with its name, so that it can be held against the API. */
export function number(name, value) {
  return h("b", { class: "n", "data-number": name, flash: value }, count(value));
}

export const card = (title, aside, ...content) =>
  h("section", { class: "card" }, h("h2", {}, title, h("span", {}, aside ?? "")), ...content);

/** A wide card whose content is on its way: as high as that, so that nothing moves when it comes. */
export const coming = (title) => h("section", { class: "card wide coming" }, h("h2", {}, title));

/** A table of times: `rows` are {name, words, cells}; the first cells are durations in ms. */
export function times(columns, rows) {
  return h(
    "table",
    { class: "times" },
    h("thead", {}, h("tr", {}, ["", ...columns].map((words) => h("th", { scope: "col" }, words)))),
    h("tbody", {}, rows.map(({ name, words, cells }) => h("tr", { key: name }, h("th", { scope: "row" }, words), cells.map(([part, ms]) => h("td", { "data-time": part }, typeof ms === "object" && ms !== null ? ms : duration(ms)))))),
  );
}

/** Bars of a funnel: `steps` are {name, label, value, of, ofWhat, atLeast, tone}; the widest is `whole`. */
export function funnel(steps, whole) {
  return h(
    "div",
    { class: "funnel" },
    steps.map(({ name, label, value, of, ofWhat, atLeast, tone }) =>
      h(
        "div",
        { class: "step", key: name },
        h("span", {}, label),
        h("div", { class: "bar", "aria-hidden": "true" }, h("i", { class: tone, css: { "--part": whole ? Math.min(1, value / whole).toFixed(4) : "0" } })),
        number(name, value),
        h("span", { class: "r" }, ofWhat && h("span", { "data-rate": name }, `${atLeast && of ? "≥ " : ""}${percent(value, of)}`), ofWhat && h("small", {}, ` of ${ofWhat}`)),
      ),
    ),
  );
}

/** A line that shows that a sum closes, or says that it does not yet. */
export function closing(total, what, parts) {
  const sum = parts.reduce((all, [value]) => all + value, 0);
  const shown = parts.filter(([value, , isAlways]) => value !== 0 || isAlways);
  return h(
    "p",
    { class: "close", "data-closes": String(sum === total) },
    h("b", {}, count(total)),
    ` ${what} = `,
    shown.length ? shown.map(([value, name], index) => [index || value < 0 ? (value < 0 ? " − " : " + ") : "", h("span", {}, count(Math.abs(value))), ` ${name}`]) : "0",
    sum !== total && h("em", {}, ` ${sum < total ? "+" : "−"} ${count(Math.abs(total - sum))} that partitions have not settled yet`),
  );
}

/** Why what failed has failed, and what to do; red where it is surely too much. */
export function reasons({ totals, failure_share: share }) {
  const found = Object.entries(totals.errors).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const sum = found.reduce((all, [, value]) => all + value, 0);
  return card(
    ["Why ", number("failed", totals.failed), " failed"],
    h("span", { class: share.is_high ? "bad" : "", title: `At least ${percent(share.at_least, 1)}, with 95 % confidence` }, `${percent(totals.failed, share.sends)} of ${count(share.sends)} sent${share.is_high ? ", surely above 10 %" : ""}`),
    found.length === 0 && h("p", { class: "nothing" }, "Nothing has failed."),
    h("ul", { class: "reasons" }, found.slice(0, FIRST).map(why)),
    found.length > FIRST && h("details", {}, h("summary", {}, `${count(found.length - FIRST)} more reasons`), h("ul", { class: "reasons" }, found.slice(FIRST).map(why))),
    found.length > 0 && closing(totals.failed, "failed", [[sum, "with these reasons", true]]),
  );
}

const FIRST = 5;

function why([key, value]) {
  const { class: kind, code, words, advice } = reason(key);
  return h("li", { key }, h("span", { class: `tag ${kind}` }, kind), h("span", {}, code && h("code", {}, code), ` ${words}`), number(`errors.${key}`, value), advice && h("small", {}, advice));
}

/**
 * The table of templates, with a last line of sums: `columns` are {name, label, of, atLeast}. `cost` returns what a
 * template costs, or all (null), where somebody knows: {text, micros}.
 */
export function templates(campaign, columns, what, cost = () => undefined) {
  const all = [...campaign.templates].sort((a, b) => b.counters.attempts - a.counters.attempts);
  const shown = all.slice(0, MOST);
  const cells = (counters) =>
    columns.map(({ name, of, atLeast }) =>
      counters[name] === undefined
        ? h("td", { class: "none" }, "–")
        : h("td", {}, number(name, counters[name]), of && h("small", {}, `${atLeast && counters[of] ? "≥ " : ""}${percent(counters[name], counters[of])}`)),
    );
  const more = campaign.templates_more;
  const costs = new Map(shown.map(({ template }) => [template, cost(template)]).filter(([, one]) => one));
  return h(
    "section",
    { class: "card wide scroll templates", tabindex: "0", "aria-label": what },
    h("h2", {}, what, h("span", {}, all.length > MOST ? `the ${MOST} with the most attempts, of ${count(all.length)}` : "")),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, what === "Scripts" ? "script" : "template"), columns.map(({ label }) => h("th", { scope: "col" }, label)), costs.size > 0 && h("th", { scope: "col" }, "cost"))),
      h(
        "tbody",
        {},
        shown.map(({ template, counters }) =>
          h(
            "tr",
            { key: JSON.stringify([template.name, template.language]), "data-template": JSON.stringify([template.name, template.language]) },
            h("th", { scope: "row", title: template.name }, h("bdi", { class: "cut" }, template.name || "(no template)"), h("small", {}, template.language)),
            cells(counters),
            costs.size > 0 && h("td", { "data-micros": costs.get(template)?.micros }, costs.get(template)?.text),
          ),
        ),
        more && h("tr", {}, h("th", { scope: "row" }, `${count(more.templates)} more`), cells(more.counters)),
      ),
      all.length > 1 && h("tfoot", {}, h("tr", { "data-template": "all" }, h("th", { scope: "row" }, "campaign"), cells(campaign.totals), costs.size > 0 && h("td", { "data-micros": cost(null).micros }, h("b", {}, cost(null).text)))),
    ),
  );
}

const MOST = 100;

/** What is worth a note: [number, words], of those that are not 0. */
export function notes(receipt, found) {
  const missing = receipt.incomplete ? [[receipt.incomplete, "missing from these numbers: see the receipt above"]] : [];
  const shown = [...missing, ...found.map(([name, value, words]) => [value, words, name])].filter(([value]) => value);
  return card(
    "Notes on these numbers",
    "",
    shown.length
      ? h("ul", { class: "notes" }, shown.map(([value, words, name]) => h("li", { key: words }, number(name ?? "incomplete", value), ` ${words}`)))
      : h("p", { class: "nothing" }, "Nothing odd: no copies, no contradictions, nothing missing."),
  );
}
