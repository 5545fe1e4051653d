// The wallboard: who waits in which queue and how they are served, and operators by state, to be read across a room.

import { h } from "./dom.js";
import { count, timer } from "./format.js";
import { show } from "./frame.js";
import { queues } from "./queues.js";

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
      live.more.queues && h("b", { class: "warn" }, "There are more than 1,000 queues: the first by name are here. "),
      live.more.operators && h("b", { class: "warn" }, "There are more than 1,000 operators: the first by PBX and interface are here. "),
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
