// What each page asks of the stream, and the connection that is begun before the scripts of the page are there.

const UNTAKEN_MS = 5000;
export const WITHIN_SECONDS = 20; // callers are answered well within this, if the address says nothing else

/** By the first part of a page's address: `id` is the second, `within` what it says of the service level. */
export const QUERIES = {
  "": () => "campaigns=1",
  c: (id) => `campaign=${encodeURIComponent(id)}`,
  compare: () => "campaigns=1",
  proof: () => "receipts=1",
  api: () => "receipts=1",
  wall: (_, within) => `operators=1&queues=1&threshold_seconds=${within ?? WITHIN_SECONDS}`,
};

export const urlOf = (tenant, query) => `/v1/tenants/${encodeURIComponent(tenant)}/stream?${query}`;
export const lockOf = (url) => `tally ${url}`; // whoever holds it reads the stream for all tabs that show the same

const early = { begun: null, isOver: false };

/** Open a stream at once, unless nobody looks, or another tab reads it for this one too. */
export async function begin(url) {
  if (document.hidden) return;
  const { held } = (await navigator.locks?.query()) ?? { held: [] };
  if (early.isOver || held.some((one) => one.name === lockOf(url))) return;
  const abort = new AbortController();
  const opening = open(url, null, abort);
  opening.catch(() => {}); // whoever takes it is told
  early.begun = { url, abort, opening };
  setTimeout(() => early.begun?.abort.abort(), UNTAKEN_MS);
}

/** Return the connection that was begun to a URL, or a new one: how to end it, and the answer to come. */
export function opened(url, lastId) {
  const { begun } = early;
  Object.assign(early, { begun: null, isOver: true });
  if (begun?.url === url && !begun.abort.signal.aborted) return begun;
  begun?.abort.abort();
  const abort = new AbortController();
  return { abort, opening: open(url, lastId, abort) };
}

function open(url, lastId, abort) {
  const headers = { Accept: "text/event-stream", ...(lastId !== null && { "Last-Event-ID": lastId }) };
  return fetch(url, { headers, cache: "no-store", signal: abort.signal });
}
