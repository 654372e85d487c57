// What the word at the top says, from what is known and nothing else.

const LEAST_MS = 3000;

/** How long a running market may be silent before its numbers are called stale, in ms. */
export function patienceMs(clock) {
  const tickMs = (clock?.pace_s ?? 1) * 1000 + (clock?.tick_ms_p99 ?? 0);
  return Math.max(LEAST_MS, 3 * tickMs);
}

/**
 * The state as one word.
 * `open`: the stream is open; `wasOpen`: it has been before; `clock`: the newest clock;
 * `newest`: the newest tick; `silentMs`: since the newest tick, or since the clock was changed.
 */
export function statusOf({ open, wasOpen, clock, newest, silentMs }) {
  if (!open) return wasOpen ? "RECONNECTING" : "CONNECTING";
  if (clock?.state === "finished") return "FINISHED";
  if (clock?.state === "paused") return "PAUSED";
  if (newest === 0) return "WAITING";
  return silentMs > patienceMs(clock) ? "STALE" : "LIVE";
}
