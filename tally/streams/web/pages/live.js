// The stream: one connection for all tabs that show the same, and what it has told so far.

import { beginning } from "./beginnings.js";

const SILENT_MS = 5000; // receipts come each second: then the connection is dead, whatever it says of itself
const HIDDEN_MS = 5000; // a browser has six connections to a host: tabs that nobody sees leave theirs to others
const LONGEST_PAUSE_MS = 8000;
const CLOSE_MS = 2000; // numbers of a moment that is longer ago may have skipped a state

/** The lists of a frame, and by what their entries are known. */
const NAMES = {
  campaigns: (one) => [one.campaign],
  operators: (one) => [one.pbx, one.operator],
  queues: (one) => [one.queue],
};
const PARTS = Object.keys(NAMES);
const keyOf = (name) => (name.length === 1 ? name[0] : JSON.stringify(name));

const isClose = (receipt) => receipt !== null && receipt.lag_ms !== null && receipt.lag_ms <= CLOSE_MS;

export class Live {
  campaign = undefined; // null: nothing is counted yet
  campaigns = new Map();
  operators = new Map();
  begun = new Map(); // since when each operator is in its state
  queues = new Map();
  more = {};
  receipt = null;
  progress = null; // where the campaign that is shown stands
  problem = null; // what keeps the stream from opening: {status, code, message}
  clockMs = 0; // the server's clock less this one
  #heardMs = null;
  #heardAt = null;
  #lastId = null;
  #retryMs = 1000;
  #failed = 0;
  #abort = null;
  #wake = null;
  #tabs = null; // a channel to the tabs that show the same
  #leads = false; // whether this tab reads the stream for all of them

  constructor(tenant, query, changed) {
    this.tenant = tenant;
    this.url = `/v1/tenants/${encodeURIComponent(tenant)}/stream?${query}`;
    this.changed = changed;
  }

  start() {
    let hiding;
    document.addEventListener("visibilitychange", () => {
      clearTimeout(hiding);
      if (document.hidden) hiding = setTimeout(() => this.#abort?.abort(), HIDDEN_MS);
      else this.#wake?.();
    });
    setInterval(() => {
      if (this.silentMs() > SILENT_MS) this.#abort?.abort();
    }, 1000);
    this.#join();
    this.#run();
  }

  /** Hear what the tab that leads has heard. Browsers have locks over HTTPS and on localhost alone. */
  #join() {
    if (!navigator.locks) return;
    this.#tabs = new BroadcastChannel(`tally ${this.url}`);
    this.#tabs.onmessage = ({ data: { event, body, id, agoMs } }) => {
      if (event !== "hello") this.#hear(event, body, id, agoMs);
      else if (this.#leads && this.isShown) this.#tabs.postMessage({ event: "snapshot", body: this.#whole(), id: this.#lastId, agoMs: this.silentMs() });
    };
    this.#tabs.postMessage({ event: "hello" });
  }

  #whole() {
    const { campaign, receipt, progress } = this;
    const lists = PARTS.flatMap((part) => [[part, [...this[part].values()]], [`${part}_more`, this.more[part]]]);
    return { campaign, ...Object.fromEntries(lists), receipt, progress };
  }

  /** Show an event, but no change of what this tab has never seen whole. */
  #hear(event, body, id, agoMs) {
    if (event === "change" && !this.isShown) return;
    this.take(event, body, agoMs);
    this.#lastId = id ?? this.#lastId;
    this.problem = null;
    this.changed();
  }

  /** For how long nothing was heard; one of both clocks stands still while a laptop sleeps. */
  silentMs() {
    if (this.#heardMs === null) return 0;
    return Math.max(performance.now() - this.#heardMs, Date.now() - this.#heardAt);
  }

  get hasHeard() {
    return this.#heardMs !== null;
  }

  get now() {
    return Date.now() + this.clockMs;
  }

  /** Ask again at once: somebody has logged in. */
  retry() {
    this.problem = null;
    this.#wake?.();
  }

  async #run() {
    for (;;) {
      if (document.hidden || this.problem) await this.#pause(null);
      else if (this.#tabs) await navigator.locks.request(`tally ${this.url}`, () => this.#lead());
      else await this.#lead();
    }
  }

  async #lead() {
    this.#leads = true;
    while (!document.hidden && !this.problem) {
      await this.#read();
      if (!document.hidden && !this.problem) {
        await this.#pause(Math.min(LONGEST_PAUSE_MS, this.#retryMs * 2 ** Math.max(0, this.#failed - 1)));
      }
    }
    this.#leads = false;
  }

  #pause(ms) {
    return new Promise((resolve) => {
      const timer = ms === null ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #read() {
    this.#abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.#lastId !== null) headers["Last-Event-ID"] = this.#lastId;
    const opening = setTimeout(() => this.#abort.abort(), SILENT_MS);
    try {
      const response = await fetch(this.url, { headers, cache: "no-store", signal: this.#abort.signal });
      clearTimeout(opening);
      if (!response.ok) return await this.#refused(response);
      await this.#frames(response.body.getReader());
      this.#failed = 0; // it ended in order
    } catch {
      this.#failed += 1; // the server is gone, or we have closed the connection: come back
    } finally {
      clearTimeout(opening);
      this.#abort.abort();
    }
  }

  async #refused(response) {
    this.#failed += 1;
    if (response.status >= 500 || response.status === 429) return; // it may answer later
    const body = await response.json().catch(() => ({}));
    this.problem = { status: response.status, message: response.statusText, ...body.error };
    this.changed();
  }

  async #frames(reader) {
    const text = new TextDecoder();
    let waiting = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = text.decode(value, { stream: true }).split("\n");
      waiting.push(parts[0]);
      for (const part of parts.slice(1)) {
        this.#line(waiting.join(""));
        waiting = [part];
      }
    }
  }

  #fields = {};

  #line(line) {
    if (line !== "") {
      const colon = line.indexOf(": ");
      this.#fields[line.slice(0, colon)] = line.slice(colon + 2);
      return;
    }
    const { event, data, id, retry } = this.#fields;
    this.#fields = {};
    if (retry !== undefined) this.#retryMs = Number(retry);
    if (data === undefined) return;
    const body = JSON.parse(data);
    if (event === "bye") {
      if (body.reason === "key_refused") this.#retryMs = 0; // the answer says why, and the page asks to log in
      return;
    }
    this.#failed = 0;
    this.#hear(event, body, id);
    this.#tabs?.postMessage({ event, body, id });
  }

  /** Take a frame, heard so long ago: what it holds is whole entries, newer than those that are here. */
  take(event, body, agoMs = 0) {
    const isWatched = isClose(this.receipt) && isClose(body.receipt) && this.silentMs() <= CLOSE_MS;
    this.#heardMs = performance.now() - agoMs;
    this.#heardAt = Date.now() - agoMs;
    this.receipt = body.receipt;
    // A worker that has yet to read what is shown here sends receipts alone: what stands here stays.
    if ("progress" in body || event !== "receipt") this.progress = body.progress ?? null;
    if (body.receipt.as_of) this.clockMs = Date.parse(body.receipt.as_of) + body.receipt.lag_ms - this.#heardAt;
    if (event === "snapshot") for (const part of PARTS) this[part].clear();
    if ("campaign" in body) this.campaign = body.campaign;
    for (const part of PARTS) {
      for (const name of body[`${part}_gone`] ?? []) this[part].delete(keyOf(name));
      for (const one of body[part] ?? []) this[part].set(keyOf(NAMES[part](one)), one);
      this.more[part] = body[`${part}_more`] ?? this.more[part];
    }
    if (body.operators) this.#began(body.operators, isWatched && event === "change");
  }

  #began(operators, isWatched) {
    for (const one of operators) {
      const key = keyOf(NAMES.operators(one));
      this.begun.set(key, beginning(one, this.begun.get(key), isWatched));
    }
    for (const key of this.begun.keys()) if (!this.operators.has(key)) this.begun.delete(key);
  }

  /** Whether there is anything to show: not before the worker has read what was shown. */
  get isShown() {
    return this.#lastId !== null;
  }
}
