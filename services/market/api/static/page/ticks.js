// The numbers behind the charts: as a line above each for one tick, as a table for all. Below them
// the events of a tick, whose names may find no room over the line.

import { $, say, table } from "./dom.js";
import { arrow, number, told } from "./format.js";

const MOST_ROWS = 200;
const HEADS = [
  "tick",
  "price EUR/kWh",
  "temperature °C",
  "bought kWh",
  "sold kWh",
  "given kWh",
  "spilled kWh",
  "unserved kWh",
  "homes",
];

/** What the charts show at a tick; `chosen` when somebody points at it. The one that is open has no trade yet. */
export function showReadouts(history, tick, chosen) {
  const row = chosen ? history.at(tick) : history.at(history.newest);
  const where = chosen ? `tick ${number(tick)}: ` : "";
  const price = history.priceOf(tick);
  say($("price-readout"), price === undefined ? "" : `${where}${number(price, 4)}`);
  say($("temperature-readout"), row ? `${number(row.temperature_c, 1)}` : "");
  say(
    $("trade-readout"),
    row ? `▲ bought ${number(row.bought_kwh, 2)}  ▼ sold ${number(row.sold_kwh, 2)}` : "",
  );
  const alive = chosen ? history.eventsIn(tick) : [];
  const events = alive.map((event) => `${arrow(event.coefficient)} ${told(event)}`);
  say($("events-readout"), alive.length ? `${where}${events.join(", ")}` : "");
}

/** Fills the table, newest tick first, if it is open and lags behind. */
export function showTable(history, span) {
  const details = $("ticks-table");
  const key = `${span} ${history.newest}`;
  if (!details.open || details.dataset.key === key) return;
  details.dataset.key = key;
  const rows = history.rows.slice(-Math.min(span, MOST_ROWS)).reverse();
  const cells = rows.map((row) => [
    number(row.tick),
    number(row.price_eur_per_kwh, 6),
    number(row.temperature_c, 3),
    ...["bought", "sold", "given", "spilled", "unserved"].map((name) =>
      number(row[`${name}_kwh`], 3),
    ),
    number(row.homes),
  ]);
  details
    .querySelector(".scroll")
    .replaceChildren(table(`The newest ${rows.length} ticks`, HEADS, cells));
}
