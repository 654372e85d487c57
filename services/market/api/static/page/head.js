// The top of the page: the state, the price that is valid now, and what goes with it.

import { $, say } from "./dom.js";
import { arrow, brief, duration, NOTHING, number, signed } from "./format.js";

const WITH_AGE = new Set(["STALE"]);

export function showStatus(feed) {
  const { word, silentS } = feed.status();
  $("status").dataset.state = word;
  say($("status-word"), word);
  say($("status-age"), WITH_AGE.has(word) ? duration(silentS) : "");
  say(
    $("status-why"),
    word === "WAITING" && !feed.why
      ? "No tick is open yet: waiting for homes."
      : word === "LIVE"
        ? ""
        : feed.why,
  );
}

/** The tick whose price is valid: the one that is open, else the newest that was settled. */
export function tickNow(history, clock) {
  const { newest, next } = history;
  return clock && next && clock.tick === next.tick ? next.tick : newest;
}

/** `forecast`: { tick, temperature_c } of the tick that was open when it was read, and of coming ones. */
export function showHead(history, feed, forecast) {
  const tick = tickNow(history, feed.clock);
  const price = history.priceOf(tick);
  showClock(feed.clock);
  if (price === undefined) return clear();
  const before = history.priceOf(tick - 1);
  const change = before === undefined ? null : price - before;
  say($("price"), number(price, 4));
  say(
    $("change"),
    change === null ? "" : `${arrow(Math.round(change * 1e6))} ${signed(change, 4)}`,
  );
  $("change").dataset.way = change > 0 ? "up" : change < 0 ? "down" : "level";
  const next = history.next?.tick > tick ? history.next.price : undefined;
  say($("next"), next === undefined ? "" : `then ${number(next, 4)}`);
  say($("tick"), number(tick));
  const weather = history.at(tick) ?? forecast.find((each) => each.tick === tick);
  say($("temperature"), weather ? `${number(weather.temperature_c, 1)} °C` : NOTHING);
  showHomes(history, feed);
  document.title = `${number(price, 4)} EUR/kWh · energymarket`;
}

function clear() {
  for (const id of ["price", "tick", "temperature", "homes-online"]) say($(id), NOTHING);
  for (const id of ["change", "next", "homes-change"]) say($(id), "");
}

/** Those of the newest tick; while none comes, those that hold a place, who come and go without one. */
function showHomes(history, feed) {
  const row = history.at(history.newest);
  say($("homes-online"), number(feed.homes ?? row.homes - row.absent));
  say($("homes-change"), feed.homes === null ? rosterChange(history.homes, row) : "");
}

const SHOWN_FOR_TICKS = 20;

function rosterChange(change, row) {
  const absent = row.absent ? `${number(row.absent)} absent` : "";
  if (!change || row.tick - change.tick > SHOWN_FOR_TICKS) return absent;
  const by = change.before ? change.homes - change.before : 0;
  return [by ? `${signed(by, 0)} at tick ${number(change.tick)}` : "", absent]
    .filter(Boolean)
    .join(", ");
}

function showClock(clock) {
  say($("orders"), brief(clock?.orders_per_s));
  const p99 = clock?.tick_ms_p99;
  say($("p99"), p99 === null || p99 === undefined ? NOTHING : `${brief(p99)} ms`);
}
