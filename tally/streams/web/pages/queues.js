// The queues of the wallboard: a tile for each, or, of many, tiles for those in which somebody waits.

import { h } from "./dom.js";
import { count, timer } from "./format.js";

const TILES = 15; // more do not fit on a screen beside operators
const LINES = 120;
/** What is said of a queue's operators, by state. */
const MEMBERS = { available: "free", in_call: "in a call", paused: "paused" };

/** All queues, judged by what is `asked` of them; null where there is none. */
export function queues(live, operators, nowMs, asked) {
  const members = new Map();
  for (const one of operators) {
    for (const { queue, state } of one.queues) {
      if (!members.has(queue)) members.set(queue, {});
      const found = members.get(queue);
      found[state] = (found[state] ?? 0) + 1;
    }
  }
  const names = [...new Set([...live.queues.keys(), ...members.keys()])].sort();
  if (!names.length) return null;
  const shown = (make, of) => of.map((name) => make(name, live.queues.get(name), members.get(name) ?? {}, nowMs, asked));
  if (names.length <= TILES) return h("div", { class: "tiles" }, shown(tile, names));
  const waits = names.filter((name) => live.queues.get(name)?.since).sort((a, b) => (live.queues.get(a).since < live.queues.get(b).since ? -1 : 1));
  const large = waits.slice(0, TILES);
  const others = [...waits.slice(TILES), ...names.filter((name) => !live.queues.get(name)?.since)];
  const hidden = others.slice(LINES);
  const waiting = hidden.reduce((sum, name) => sum + (live.queues.get(name)?.waiting ?? 0), 0);
  return [
    large.length > 0 && h("div", { class: "tiles", key: "tiles" }, shown(tile, large)),
    h("ul", { class: "lines", key: "lines" }, shown(line, others.slice(0, LINES))),
    hidden.length > 0 && h("p", { class: "hint", key: "hidden" }, `${count(hidden.length)} more queues, in which ${waiting === 0 ? "nobody waits" : waiting === 1 ? "1 waits" : `${count(waiting)} wait`}.`),
  ];
}

/** A queue among many: its name, who waits, and how it is served. */
function line(name, queue, members, nowMs, asked) {
  const { waiting, longestMs, level, wait, served } = standing(queue, nowMs, asked);
  const [here, free] = [present(members), members.available ?? 0];
  return h(
    "li",
    { key: name, class: wait, "data-queue": name },
    h("b", {}, h("bdi", {}, name)),
    h("em", { class: served, "data-level": level?.of ? `${level.connects}/${level.of}` : "" }, level?.of ? whole(level) : "–"),
    h(
      "span",
      {},
      h("i", { flash: waiting, "data-number": "waiting" }, count(waiting)),
      waiting === 1 ? " waits" : " wait",
      h("i", { "data-longest": queue?.since ?? "" }, longestMs === null ? "" : ` ${timer(longestMs)}`),
      here > 0 && [" · ", h("i", { flash: free, "data-number": "available" }, count(free)), " free"],
    ),
  );
}

/** What of a queue is judged by the thresholds. */
function standing(queue, nowMs, asked) {
  const longestMs = queue?.since ? Math.max(0, nowMs - Date.parse(queue.since)) : null;
  const level = queue?.service_level[0];
  const wait = longestMs === null ? "" : longestMs >= asked.bad * 1000 ? "bad" : longestMs >= asked.warn * 1000 ? "warn" : "";
  const served = level?.of ? (100 * level.connects >= asked.target * level.of ? "good" : "warn") : "";
  return { waiting: queue?.waiting ?? 0, longestMs, level, wait, served };
}

const all = (members) => Object.values(members).reduce((sum, number) => sum + number, 0);
const present = (members) => all(members) - (members.unavailable ?? 0);

function tile(name, queue, members, nowMs, asked) {
  const { waiting, longestMs, level, wait, served } = standing(queue, nowMs, asked);
  const [here, free] = [present(members), members.available ?? 0];
  return h(
    "section",
    { class: `tile card ${wait}`, key: name, "data-queue": name },
    h("h2", {}, h("bdi", {}, name)),
    h(
      "div",
      { class: "bigs" },
      h("div", { class: wait }, h("b", { flash: waiting, "data-number": "waiting" }, count(waiting)), h("span", {}, waiting === 1 ? "waits" : "wait")),
      h("div", { class: wait }, h("b", { "data-longest": queue?.since ?? "" }, longestMs === null ? "–" : timer(longestMs)), h("span", {}, "longest")),
      h(
        "div",
        { class: served },
        h("b", { "data-level": level?.of ? `${level.connects}/${level.of}` : "" }, level?.of ? whole(level) : "–"),
        h("span", { title: level ? `${count(level.connects)} of ${count(level.of)} callers of campaigns` : null }, `in ${level?.threshold_seconds ?? asked.within} s`),
      ),
    ),
    h(
      "p",
      { class: `members ${here && !free ? "none" : ""}` },
      Object.entries(MEMBERS).map(([state, words], index) => [
        index > 0 && " · ",
        h("b", { flash: members[state] ?? 0, "data-number": state }, count(members[state] ?? 0)),
        ` ${words}`,
      ]),
      h("small", {}, `${count(here)} of ${count(all(members))} here`),
    ),
  );
}

/** A share to be read from afar: whole per cents, rounded down, so that none shows a target that it has missed. */
function whole({ connects, of }) {
  const share = Math.floor((100 * connects) / of);
  return `${connects > 0 ? Math.max(1, share) : 0} %`;
}
