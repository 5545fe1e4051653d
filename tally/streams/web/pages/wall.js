// The wallboard: operators by state, and each queue's, to be read from across a room.

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
const SHIFT_MS = 300000;
const SHIFTS = [[0, 0], [6, 0], [6, 6], [0, 6]]; // pixels: screens that show one picture for weeks burn it in

export function showWall(tenant) {
  show({ tenant, query: "operators=1", name: "wall", title: () => `Wallboard of ${tenant} · Tally`, draw });
  document.addEventListener("keydown", (event) => {
    if (event.key === "f" && !event.ctrlKey && !event.metaKey && !event.altKey) fullScreen();
  });
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.();
}

function draw(live) {
  const operators = [...live.operators.values()];
  const nowMs = live.now;
  const [x, y] = SHIFTS[Math.floor(Date.now() / SHIFT_MS) % SHIFTS.length];
  const order = Object.keys(STATES);
  const sorted = operators.sort(
    (a, b) => order.indexOf(a.state) - order.indexOf(b.state) || (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : a.pbx < b.pbx ? -1 : 1),
  );
  return h(
    "div",
    { class: "board", css: { "--x": `${x}px`, "--y": `${y}px` } },
    h(
      "div",
      { class: "headline" },
      h("h1", {}, "Wallboard"),
      h("button", { type: "button", class: "quiet", onclick: fullScreen, title: "Key f" }, "Full screen"),
    ),
    h(
      "ul",
      { class: "states" },
      Object.entries(STATES).map(([state, words]) => {
        const number = operators.filter((one) => one.state === state).length;
        return h("li", { key: state, class: state }, h("b", { flash: number, "data-number": state }, count(number)), h("span", {}, words));
      }),
    ),
    operators.length === 0 && h("section", { class: "notice" }, h("p", {}, "No operator is known yet. The first one shows here by itself.")),
    tiles(operators),
    h("ul", { class: "operators" }, sorted.map((one) => operator(one, nowMs))),
    h(
      "p",
      { class: "hint" },
      live.more.operators ? "The first 1,000 operators by PBX and interface. " : "",
      operators.length > 0 && "Timers begin with the latest news of a state, which may have begun earlier: ≥.",
    ),
  );
}

const nameOf = (one) => one.name || one.operator;

function tiles(operators) {
  const queues = new Map();
  for (const one of operators) {
    for (const { queue, state } of one.queues) {
      if (!queues.has(queue)) queues.set(queue, { members: 0 });
      const found = queues.get(queue);
      found.members += 1;
      found[state] = (found[state] ?? 0) + 1;
    }
  }
  if (!queues.size) return null;
  return h(
    "div",
    { class: "tiles" },
    [...queues].sort().map(([queue, found]) => {
      const [free, busy, here] = [found.available ?? 0, found.in_call ?? 0, found.members - (found.unavailable ?? 0)];
      const how = here && !free ? "bad" : here && free * 5 < here ? "warn" : "";
      return h(
        "section",
        { class: `tile card ${how}`, key: queue, "data-queue": queue },
        h("h2", {}, h("bdi", {}, queue), h("span", {}, `${count(here)} of ${count(found.members)} here`)),
        h("div", { class: "bigs" }, big("free", "available", free), big("in a call", "in_call", busy), big("paused", "paused", found.paused ?? 0)),
      );
    }),
  );
}

const big = (words, name, value) => h("div", {}, h("b", { flash: value, "data-number": name }, count(value)), h("span", {}, words));

function operator(one, nowMs) {
  const words = one.state === "paused" && one.reason ? one.reason : STATES[one.state];
  const isTimed = one.since !== null && one.state !== "unavailable";
  return h(
    "li",
    { key: JSON.stringify([one.pbx, one.operator]), class: one.state, "data-operator": one.operator, title: `${one.operator} at ${one.pbx}` },
    h("b", {}, h("bdi", {}, nameOf(one))),
    h("em", {}, isTimed ? [h("small", {}, "≥ "), timer(nowMs - Date.parse(one.since))] : ""),
    h("span", {}, words),
  );
}
