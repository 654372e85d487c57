// Puts the page together: one feed, one history, and panels that show what is in them.

import { ask } from "./api.js";
import { doubtAudit, showAudit } from "./audit.js";
import { Charts } from "./charts.js";
import { Controls } from "./controls.js";
import { $, choice, say } from "./dom.js";
import { showEvents } from "./events.js";
import { Feed } from "./feed.js";
import { showFlows } from "./flows.js";
import { showHead, showStatus, tickNow } from "./head.js";
import { History } from "./history.js";
import { openHome } from "./home.js";
import { Homes, homesEveryMs, readHomes } from "./homes.js";
import { follow } from "./poll.js";
import { showReadouts, showTable } from "./ticks.js";
import { Waterfall } from "./waterfall.js";

const SPANS = [48, 168, 720]; // ticks, each an hour: two days, a week, thirty days
const DRAW_MS = 100; // however fast the ticks come, nobody reads faster
const FLOW_TICKS = 50;
const NARROW = innerWidth < 600;
const LINKS = NARROW ? 8 : 12;

const history = new History();
const feed = new Feed(history, changed);
const waterfall = new Waterfall(history);
const controls = new Controls(feed);
const homes = new Homes(openHome);
const places = {
  price: $("price-chart"),
  temperature: $("temperature-chart"),
  trade: $("trade-chart"),
};
const charts = new Charts(places, (tick) => point(tick));

let span = SPANS[NARROW ? 0 : 1];
let forecast = [];
let pointed = null; // the tick that somebody points at
let drawnTick = null; // what the charts were drawn for
let wasStale = false;

// ------------------------------------------------------------------------------------------ drawing

let waiting = false;
let drawnAt = -Infinity;

/** Draws soon, once for all that changes until then. */
function changed() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => requestAnimationFrame(show), Math.max(0, drawnAt + DRAW_MS - performance.now()));
}

function show() {
  waiting = false;
  drawnAt = performance.now();
  showStatus(feed);
  showHead(history, feed, forecast);
  const isStale = feed.status().word === "STALE";
  // A server that hangs leaves the stream open; one that does not hang answers the next question.
  if (!feed.open || (isStale && !wasStale)) doubtAudit();
  wasStale = isStale;
  showEvents(history);
  controls.show(feed.clock);
  const drawn = [
    feed.run?.run,
    history.newest,
    history.next?.price,
    history.events.size,
    span,
    forecast.length,
  ].join();
  if (drawn !== drawnTick) {
    drawnTick = drawn;
    $("charts").dataset.empty = history.newest === 0;
    charts.show(history, forecast, span);
    showTable(history, span);
  }
  showPointed();
  if (feed.run)
    say($("run"), `run ${feed.run.run}, seed ${feed.run.seed}, ${feed.run.price_model} price`);
}

function point(tick) {
  pointed = tick;
  charts?.describe(history);
  showPointed();
}

function showPointed() {
  const tick = pointed ?? tickNow(history, feed.clock);
  showReadouts(history, tick, pointed !== null);
  if (history.priceOf(tick) !== undefined) waterfall.show(tick);
}

// ------------------------------------------------------------------------------------------ reading

const tick = () => history.newest;

function inSight(element) {
  let seen = false;
  new IntersectionObserver(([entry]) => (seen = entry.isIntersecting), {
    rootMargin: "200px",
  }).observe(element);
  return () => seen;
}

follow({
  tick: () => tickNow(history, feed.clock),
  everyMs: () => 2000,
  read: () => ask("/weather"),
  show: (weather) => {
    forecast = [weather.now, ...weather.forecast].filter(Boolean);
    changed();
  },
});
follow({
  tick,
  still: true, // what is late or refused comes without a tick, and a market that stands is audited too
  everyMs: () => 2000,
  wanted: () => feed.open,
  read: () => ask("/audit"),
  show: (audit) => feed.open && showAudit(audit),
  failed: doubtAudit,
});
follow({
  tick,
  everyMs: () => 2000,
  wanted: inSight($("flows")),
  read: () => ask(`/flows?ticks=${FLOW_TICKS}&limit=${LINKS}`),
  show: (flows) => showFlows(flows, openHome),
});
follow({
  tick,
  everyMs: homesEveryMs,
  wanted: inSight($("homes-card")),
  read: readHomes,
  show: (all) => homes.show(all),
});

// ------------------------------------------------------------------------------------------ choices

const pressed = choice(
  $("spans"),
  SPANS.map((value) => ({ value, text: `${value} ticks` })),
  span,
  (value) => {
    span = value;
    pressed(value);
    changed();
  },
);
$("ticks-table").addEventListener("toggle", () => showTable(history, span));

feed.start();
