// The list of external events: those that live, and those that are known to come.

import { $, make } from "./dom.js";
import { arrow, number, signed, words } from "./format.js";

const MOST = 8;

export function showEvents(history) {
  const now = history.newest;
  const shown = history.eventsIn(now, Infinity);
  const root = $("events");
  const key = JSON.stringify([now, shown]);
  if (root.dataset.key === key) return;
  root.dataset.key = key;
  const rows = shown.slice(0, MOST).map((event) => row(event, now));
  if (!rows.length) rows.push(make("li", "quiet", "None is alive."));
  if (shown.length > MOST) rows.push(make("li", "quiet", `and ${shown.length - MOST} more`));
  root.replaceChildren(...rows);
}

function row(event, now) {
  const left = event.last - now;
  const when =
    event.first > now
      ? `from tick ${number(event.first)}`
      : left > 0
        ? `${number(left)} tick${left > 1 ? "s" : ""} left`
        : "its last tick";
  return make(
    "li",
    event.coefficient > 0 ? "raise" : "lower",
    make("span", { className: "sign", "aria-hidden": "true" }, arrow(event.coefficient)),
    make(
      "span",
      "name",
      words(event.name),
      event.source === "api" ? make("small", "quiet", " by hand") : null,
    ),
    make("span", "figure", signed(event.coefficient, 4)),
    make("span", "left quiet", when),
  );
}
