// Since when operators are in their states, and whether that was seen: the API gives the time of the latest news of
// a state, which may be later than its beginning. Who watched the state change knows when it began.

const TOGETHER_MS = 2000; // a PBX tells one change in several events

/** What is known of a state's beginning, from what was known before. `isWatched`: whether no change can be missing. */
export function beginning(one, before, isWatched) {
  const sinceMs = one.since === null ? null : Date.parse(one.since);
  if (!before) return { state: one.state, reason: one.reason, sinceMs, isSeen: false };
  const isSame = before.state === one.state && before.reason === one.reason;
  if (isSame && before.sinceMs === sinceMs) return before;
  if (isSame && isWatched && sinceMs !== null && before.sinceMs !== null && Math.abs(sinceMs - before.sinceMs) <= TOGETHER_MS) {
    return { ...before, sinceMs: Math.min(before.sinceMs, sinceMs) };
  }
  // News of the same state may be another turn of it that was too short to be seen: "at least" is true of both.
  return { state: one.state, reason: one.reason, sinceMs, isSeen: !isSame && isWatched && sinceMs !== null };
}
