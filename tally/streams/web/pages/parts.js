// One campaign: the page of its channel, and the parts that both have.

import { h } from "./dom.js";
import { count, duration, percent } from "./format.js";
import { notice, show } from "./frame.js";
import { reason } from "./reasons.js";
import { drawVoice } from "./voice.js";
import { drawWhatsApp } from "./whatsapp.js";

export function showCampaign(tenant, id) {
  show({
    tenant,
    query: `campaign=${encodeURIComponent(id)}`,
    name: "campaign",
    title: ({ campaign }) => `${campaign?.name ?? id} · Tally`,
    draw: ({ campaign, receipt, now }) => {
      if (campaign === null) {
        return [heading(id), notice("Nothing is counted yet", "The campaign's first send result or call shows here by itself.")];
      }
      return campaign.channel === "voice" ? drawVoice(campaign, receipt, now) : drawWhatsApp(campaign, receipt, now);
    },
  });
}

export const heading = (name) => h("h1", { class: "name", title: name }, h("bdi", {}, name));

/** How much of what is planned has been tried; nothing where nobody has said what is planned. */
export function progress({ planned, totals }) {
  if (!planned) return null;
  const part = Math.min(1, totals.contacts / planned);
  return h("div", { class: "progress", "aria-hidden": "true" }, h("i", { css: { "--part": part.toFixed(4) } }));
}

const PACE_MS = 60000;
const looks = []; // what was done at moments of the last minute, as this page saw it

/** How fast the campaign goes, and when what is planned will be done at this pace; nothing while it stands still. */
export function pace({ channel, planned, totals }, nowMs) {
  // Of a voice campaign `queued` often stays when the call is over: what was dialled is done.
  const done = channel === "voice" ? totals.attempted : Math.max(0, totals.contacts - totals.queued);
  if (!looks.length || nowMs - looks.at(-1).ms >= 1000) looks.push({ ms: nowMs, done });
  while (looks.length > 2 && looks[1].ms <= nowMs - PACE_MS) looks.shift();
  const since = looks[0];
  const rate = (done - since.done) / ((nowMs - since.ms) / 1000);
  if (nowMs - since.ms < 5000 || !(rate > 0)) return null;
  const leftMs = planned ? (1000 * Math.max(0, planned - done)) / rate : 0;
  return [
    " · ",
    h("b", { class: "n" }, `${rate < 10 ? rate.toFixed(1) : count(Math.round(rate))}/s`),
    leftMs > 0 && [" · done in about ", h("b", { class: "n" }, duration(Math.max(10000, leftMs)))],
  ];
}

export function said({ name, campaign, status, tags, planned }) {
  const words = [status, planned && `${count(planned)} planned`, ...tags, name && campaign].filter(Boolean);
  return words.map((one) => [" · ", h("bdi", {}, one)]);
}

/** A number of the answer, marked with its name, so that it can be held against the API. */
export function number(name, value) {
  return h("b", { class: "n", "data-number": name, flash: value }, count(value));
}

export const card = (title, aside, ...content) =>
  h("section", { class: "card" }, h("h2", {}, title, h("span", {}, aside ?? "")), ...content);

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

/** A line that shows that a sum closes; while partitions are read each at its own pace it may not, and says so. */
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

export function reasons(totals) {
  const found = Object.entries(totals.errors).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const sum = found.reduce((all, [, value]) => all + value, 0);
  return card(
    ["Why ", number("failed", totals.failed), " failed"],
    `${percent(totals.failed, totals.attempts)} of attempts`,
    found.length === 0 && h("p", { class: "nothing" }, "Nothing has failed."),
    h(
      "ul",
      { class: "reasons" },
      found.map(([key, value]) => {
        const { class: kind, code, words, advice } = reason(key);
        return h("li", { key }, h("span", { class: `tag ${kind}` }, kind), h("span", {}, code && h("code", {}, code), ` ${words}`), number(`errors.${key}`, value), advice && h("small", {}, advice));
      }),
    ),
    found.length > 0 && closing(totals.failed, "failed", [[sum, "with these reasons", true]]),
  );
}

/** The table of templates: `columns` are {name, label, of, atLeast}. The last line is their sum where it is one. */
export function templates(campaign, columns, what) {
  const all = [...campaign.templates].sort((a, b) => b.counters.attempts - a.counters.attempts);
  const shown = all.slice(0, MOST);
  const cells = (counters) =>
    columns.map(({ name, of, atLeast }) =>
      counters[name] === undefined
        ? h("td", { class: "none" }, "–")
        : h("td", {}, number(name, counters[name]), of && h("small", {}, `${atLeast && counters[of] ? "≥ " : ""}${percent(counters[name], counters[of])}`)),
    );
  const more = campaign.templates_more;
  return h(
    "section",
    { class: "card wide scroll", tabindex: "0", "aria-label": what },
    h("h2", {}, what, h("span", {}, all.length > MOST ? `the ${MOST} with the most attempts, of ${count(all.length)}` : "")),
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, what === "Scripts" ? "script" : "template"), columns.map(({ label }) => h("th", { scope: "col" }, label)))),
      h(
        "tbody",
        {},
        shown.map(({ template, counters }) =>
          h(
            "tr",
            { key: JSON.stringify([template.name, template.language]), "data-template": JSON.stringify([template.name, template.language]) },
            h("th", { scope: "row", title: template.name }, h("bdi", { class: "cut" }, template.name || "(no template)"), h("small", {}, template.language)),
            cells(counters),
          ),
        ),
        more && h("tr", {}, h("th", { scope: "row" }, `${count(more.templates)} more`), cells(more.counters)),
      ),
      all.length > 1 && h("tfoot", {}, h("tr", { "data-template": "all" }, h("th", { scope: "row" }, "campaign"), cells(campaign.totals))),
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
