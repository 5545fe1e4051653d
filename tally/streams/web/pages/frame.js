// What all pages share: the head with the receipt, problems, and drawing at most once a frame.

import { h, patch } from "./dom.js";
import { count, duration, time, zone } from "./format.js";
import { Live } from "./live.js";
import { logOut, onChange, renewing } from "./session.js";

const SILENT_MS = 2500; // receipts come each second: with two missing, the page says so
const SAID_MS = 8000;

/** Show a page: `draw(live)` returns its main part. */
export function show({ tenant, query, name, draw, title }) {
  let waiting = false;
  let isOpen = false;
  const again = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const startTime = performance.now();
      render();
      performance.clearMeasures(); // one is kept: a wallboard is open for weeks
      performance.measure("tally-render", { start: startTime });
    });
  };
  const live = new Live(tenant, query, again);
  let logIn = null;
  const asked = () => {
    if (logIn === null) {
      logIn = { node: () => notice("Log in", "") };
      import("./log_in.js").then(({ LogIn }) => {
        logIn = new LogIn(again, () => live.retry());
        again();
      });
    }
    return logIn.node();
  };
  onChange((how) => (how === "in" ? live.retry() : location.reload()));
  renewing();
  let said = null; // what kept somebody from logging out
  const say = (words) => {
    said = words;
    again();
  };
  const leave = async () => {
    say(await logOut());
    setTimeout(say, SAID_MS, null);
  };
  const toggle = () => {
    isOpen = !isOpen;
    again();
  };
  const render = () => {
    document.title = title(live);
    const pill = stateOf(live);
    document.documentElement.dataset.state = pill.state;
    patch(document.body, [
      h("a", { class: "skip", href: "#main" }, "Skip to the numbers"),
      h(
        "header",
        { class: "top" },
        h("a", { class: "brand", href: address("/", tenant) }, "Tally"),
        h(
          "nav",
          { "aria-label": "Pages" },
          link("/", "Campaigns", tenant, name === "campaigns"),
          link("/compare", "Compare", tenant, name === "compare"),
          link("/wall", "Wallboard", tenant, name === "wall"),
          link("/proof", "Proof", tenant, name === "proof"),
          link("/api", "API", tenant, name === "api"),
        ),
        h(
          "div",
          { class: "right" },
          h("a", { class: "tenant", href: "/", title: "Choose another tenant" }, h("bdi", {}, tenant)),
          h("span", { class: "zone" }, zone),
          h(
            "button",
            { class: "pill", type: "button", "data-state": pill.state, "aria-expanded": String(isOpen), onclick: toggle },
            h("i", { "aria-hidden": "true" }),
            h("span", {}, pill.text),
          ),
          live.problem?.status !== 401 && h("button", { type: "button", class: "quiet out", onclick: leave }, "Log out"),
        ),
        h("p", { class: "told card", role: "alert" }, said ?? ""),
        isOpen && receipt(live),
      ),
      h("p", { class: "unseen", role: "status" }, pill.said),
      h("main", { id: "main", tabindex: "-1", class: name }, body(live, asked, draw)),
    ]);
  };
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isOpen) toggle();
  });
  setInterval(again, 500); // the receipt ages by this browser's clock
  live.start();
  render();
  return again;
}

export const address = (path, tenant) => `${path}?tenant=${encodeURIComponent(tenant)}`;

function link(path, text, tenant, isHere) {
  return h("a", { href: address(path, tenant), "aria-current": isHere ? "page" : null }, text);
}

function body(live, asked, draw) {
  const { problem } = live;
  if (problem?.status === 401) return asked();
  if (problem) return notice("This cannot be shown", problem.message);
  if (!live.isShown) {
    const what = live.hasHeard ? "The worker is reading its tables." : "Waiting for the first numbers.";
    const said = notice(live.hasHeard ? "Catching up" : "Connecting", `${what} Numbers show here by themselves.`);
    return h("div", { class: live.hasHeard ? "" : "soon" }, said); // what lasts a moment only would flicker
  }
  return draw(live);
}

export const notice = (title, text) => h("section", { class: "notice" }, h("h1", {}, title), h("p", {}, text));

/** The state of what is shown, in a word and as text. */
export function stateOf(live) {
  const { receipt } = live;
  if (live.problem?.status === 401) return { state: "out", text: "logged out", said: "Logged out" };
  if (live.problem) return { state: "lost", text: "not connected", said: "Not connected" };
  if (receipt === null) return { state: "waiting", text: "connecting …", said: "Connecting" };
  const silentMs = live.silentMs();
  if (silentMs > SILENT_MS) {
    return { state: "lost", text: `no news for ${Math.floor(silentMs / 1000)} s`, said: "No news from the server" };
  }
  const asOf = receipt.as_of === null ? "" : time(Date.parse(receipt.as_of));
  if (receipt.state === "catching_up") {
    return { state: "late", text: `catching up ${opened(receipt) || asOf}`, said: "Catching up" };
  }
  const age = `${((receipt.lag_ms + silentMs) / 1000).toFixed(1)} s`;
  if (receipt.state === "incomplete") {
    const missing = count(receipt.incomplete);
    return { state: "late", text: `${missing} missing · ${asOf} · ${age}`, said: `Numbers lack ${missing}` };
  }
  const known = receipt.state === "incomplete_acknowledged";
  const words = known ? `all but ${count(receipt.incomplete_acknowledged)}, as of` : "exact as of";
  return { state: "exact", text: `${words} ${asOf} · ${age}`, said: "Exact and live" };
}

function opened(receipt) {
  const all = Object.values(receipt.opening ?? {});
  const of = all.reduce((sum, one) => sum + one.of, 0);
  const read = all.reduce((sum, one) => sum + one.read, 0);
  return of ? `· ${Math.floor((100 * read) / of)} %` : "";
}

function receipt(live) {
  const { receipt: told } = live;
  if (told === null) return null;
  const row = (name, value) => [h("dt", {}, name), h("dd", {}, value)];
  const progress = Object.entries(told.progress);
  return h(
    "section",
    { class: "receipt card", "aria-label": "Receipt" },
    h("p", {}, STATES[told.state]),
    h(
      "dl",
      {},
      row("as of", told.as_of ?? "not known yet"),
      row("age then", duration(told.lag_ms)),
      row("generation", count(told.generation)),
      row("partitions open", `${told.partitions.ready} of ${told.partitions.of}`),
      Object.entries(told.incomplete_by ?? {}).map(([kind, number]) => row(`missing: ${kind}`, count(number))),
      told.incomplete_acknowledged && row("missing, acknowledged", count(told.incomplete_acknowledged)),
      progress.map(([partition, offset]) => row(`facts of partition ${partition}`, count(offset))),
    ),
  );
}

const STATES = {
  live: "Everything that reached Kafka before this moment is in these numbers.",
  catching_up: "Events wait to be counted: numbers may be low.",
  incomplete: "Some events were lost or could not be counted: numbers are too low by what is missing.",
  incomplete_acknowledged: "All is counted but what is missing, which is known and acknowledged.",
};
