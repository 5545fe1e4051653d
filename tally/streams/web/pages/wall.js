// The wallboard: who waits in which queue and how they are served, and operators by state, to be read across a room.

import { h } from "./dom.js";
import { count, timer } from "./format.js";
import { show } from "./frame.js";

const STATES = {
  in_call: "in a call",
  ringing: "ringing",
  available: "free",
  wrap_up: "wrapping up",
  paused: "paused",
  unavailable: "away",
};
const ORDER = Object.keys(STATES);
const SHIFT_MS = 300000;
const SHIFTS = [[0, 0], [6, 0], [6, 6], [0, 6]]; // pixels: screens that show one picture for weeks burn it in
/** What is asked of queues, by the parameter of the address that says otherwise: [words, unit, value, most]. */
const THRESHOLDS = {
  within: ["answered within", "s", 20, 86400],
  target: ["of at least", "%", 80, 100],
  warn: ["a wait is long after", "s", 30, 86400],
  bad: ["and too long after", "s", 60, 86400],
};
const LARGE = 24;
const SMALL = 80; // operators: of more than these, smaller tiles

export function showWall(tenant) {
  const asked = thresholds(new URLSearchParams(location.search));
  const state = { isChoosing: false };
  const again = show({
    tenant,
    query: `operators=1&queues=1&threshold_seconds=${asked.within}`,
    name: "wall",
    title: () => `Wallboard of ${tenant} · Tally`,
    draw: (live) => draw(live, tenant, asked, state.isChoosing, choose),
  });
  function choose() {
    state.isChoosing = !state.isChoosing;
    again();
  }
  document.addEventListener("keydown", (event) => {
    const isTyped = event.target.closest("input") || event.ctrlKey || event.metaKey || event.altKey;
    if (event.key === "f" && !isTyped) fullScreen();
    if (event.key === "Escape" && state.isChoosing) choose();
  });
}

/** The thresholds that an address names; what it names wrongly is as if it were not there. */
function thresholds(parameters) {
  const given = (name, [, , usual, most]) => {
    const value = Number(parameters.get(name));
    return Number.isInteger(value) && value >= 1 && value <= most ? value : usual;
  };
  return Object.fromEntries(Object.entries(THRESHOLDS).map(([name, one]) => [name, given(name, one)]));
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

function draw(live, tenant, asked, isChoosing, choose) {
  const operators = [...live.operators.values()];
  const nowMs = live.now;
  const [x, y] = SHIFTS[Math.floor(Date.now() / SHIFT_MS) % SHIFTS.length];
  const size = operators.length <= LARGE ? "large" : operators.length <= SMALL ? "" : "small";
  return h(
    "div",
    { class: "board", css: { "--x": `${x}px`, "--y": `${y}px` } },
    h(
      "div",
      { class: "headline" },
      h("h1", {}, "Wallboard"),
      h(
        "div",
        { class: "choices" },
        h("button", { type: "button", class: "quiet", onclick: choose, "aria-expanded": String(isChoosing) }, "Thresholds"),
        h("button", { type: "button", class: "quiet", onclick: fullScreen, title: "Key f" }, "Full screen"),
      ),
    ),
    isChoosing && chosen(tenant, asked),
    queues(live, operators, nowMs, asked),
    h(
      "ul",
      { class: "states" },
      ORDER.map((state) => {
        const number = operators.filter((one) => one.state === state).length;
        return h("li", { key: state, class: state }, h("b", { flash: number, "data-number": state }, count(number)), h("span", {}, STATES[state]));
      }),
    ),
    operators.length === 0 && h("section", { class: "notice" }, h("p", {}, "No operator is known yet. The first one shows here by itself.")),
    h("ul", { class: `operators ${size}` }, operators.sort(inOrder).map((one) => operator(one, live, nowMs))),
    h(
      "p",
      { class: "hint" },
      live.more.operators ? "The first 1,000 operators by PBX and interface. " : "",
      live.queues.size > 0 && "Service levels are of all callers of campaigns whose wait has ended, since counting began. ",
      operators.length > 0 && "≥: the state began before this page saw it, or its news came later than its beginning.",
    ),
  );
}

/** A form of the address itself: a wall's screen is set up by a bookmark. */
function chosen(tenant, asked) {
  return h(
    "form",
    { class: "card thresholds", method: "get", action: "/wall" },
    h("input", { type: "hidden", name: "tenant", value: tenant }),
    Object.entries(THRESHOLDS).map(([name, [words, unit, , most]]) =>
      h(
        "label",
        { key: name },
        `${words} `,
        h("input", { type: "number", name, min: 1, max: most, step: 1, value: asked[name], required: true, inputmode: "numeric" }),
        ` ${unit}`,
      ),
    ),
    h("button", { type: "submit" }, "Set"),
  );
}

const nameOf = (one) => one.name || one.operator;

const inOrder = (a, b) =>
  ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : a.pbx < b.pbx ? -1 : 1);

function queues(live, operators, nowMs, asked) {
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
  return h("div", { class: "tiles" }, names.map((name) => tile(name, live.queues.get(name), members.get(name) ?? {}, nowMs, asked)));
}

function tile(name, queue, members, nowMs, asked) {
  const waiting = queue?.waiting ?? 0;
  const longestMs = queue?.since ? Math.max(0, nowMs - Date.parse(queue.since)) : null;
  const level = queue?.service_level[0];
  const wait = longestMs === null ? "" : longestMs >= asked.bad * 1000 ? "bad" : longestMs >= asked.warn * 1000 ? "warn" : "";
  const served = level?.of ? (100 * level.connects >= asked.target * level.of ? "good" : "warn") : "";
  const all = Object.values(members).reduce((sum, number) => sum + number, 0);
  const here = all - (members.unavailable ?? 0);
  const free = members.available ?? 0;
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
      ["available", "in_call", "paused"].map((state) => [
        state === "available" ? "" : " · ",
        h("b", { flash: members[state] ?? 0, "data-number": state }, count(members[state] ?? 0)),
        ` ${STATES[state]}`,
      ]),
      h("small", {}, `${count(here)} of ${count(all)} here`),
    ),
  );
}

/** A share to be read from afar: whole per cents, rounded down, so that none shows a target that it has missed. */
function whole({ connects, of }) {
  const share = Math.floor((100 * connects) / of);
  return `${connects > 0 ? Math.max(1, share) : 0} %`;
}

function operator(one, live, nowMs) {
  const words = one.state === "paused" && one.reason ? one.reason : STATES[one.state];
  const begun = live.begun.get(JSON.stringify([one.pbx, one.operator]));
  const isTimed = begun.sinceMs !== null && one.state !== "unavailable";
  return h(
    "li",
    { key: JSON.stringify([one.pbx, one.operator]), class: one.state, "data-operator": one.operator, title: `${one.operator} at ${one.pbx}` },
    h("b", {}, h("bdi", {}, nameOf(one))),
    h("em", { "data-seen": isTimed ? String(begun.isSeen) : null }, isTimed ? [!begun.isSeen && h("small", {}, "≥ "), timer(nowMs - begun.sinceMs)] : ""),
    h("span", {}, words),
  );
}
