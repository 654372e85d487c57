// The audit strip: what must be nought, and whether it is. Green only when every number is.

import { ask, askText } from "./api.js";
import { $, make, say } from "./dom.js";
import { number } from "./format.js";

/** The audit, with the counters of messages that were late or refused. */
export async function readAudit() {
  const [audit, metrics] = await Promise.all([ask("/audit"), askText("/metrics")]);
  return {
    ...audit,
    late: counter(metrics, "energymarket_late_orders_total"),
    refused: counter(metrics, "energymarket_messages_refused_total"),
  };
}

/** The sum of a counter over its labels, in Prometheus' text format. */
export function counter(metrics, name) {
  let sum = 0;
  for (const line of metrics.split("\n"))
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      sum += Number(line.slice(line.lastIndexOf(" ")));
  return sum;
}

export function showAudit(audit) {
  const { late, refused } = audit;
  const right = audit.ok && audit.energy_residual_wh === 0 && audit.money_residual_neur === 0;
  const state = !right ? "wrong" : late || refused ? "noted" : "right";
  $("audit").dataset.state = state;
  const verdict = {
    right: "Everything adds up",
    noted: "Everything adds up; some messages were late or refused",
    wrong: `It does NOT add up: ${broken(audit)}`,
  };
  say($("audit-word"), verdict[state]);
  const facts = [
    make("div", {}, make("dt", {}, "ticks checked"), make("dd", {}, number(audit.ticks_checked))),
    fact("energy residual", number(audit.energy_residual_wh), "Wh", audit.energy_residual_wh === 0),
    fact(
      "money residual",
      number(audit.money_residual_neur),
      "nEUR",
      audit.money_residual_neur === 0,
    ),
    fact("late", number(late), "", late === 0, "noted"),
    fact("refused", number(refused), "", refused === 0, "noted"),
    hash(audit.head_hash),
  ];
  $("audit-facts").replaceChildren(...facts);
}

const broken = ({ invariants }) =>
  invariants
    .filter((each) => each.residual !== 0)
    .map((each) => each.name)
    .join(", ");

function fact(name, value, unit, fine, otherwise = "wrong") {
  const figure = make(
    "dd",
    fine ? "right" : otherwise,
    make("span", { className: "mark", "aria-hidden": "true" }),
    value,
  );
  if (unit) figure.append(" ", make("span", "unit", unit));
  return make("div", {}, make("dt", {}, name), figure);
}

function hash(text) {
  const short = `${text.slice(0, 8)}…${text.slice(-8)}`;
  return make(
    "div",
    "hash",
    make("dt", {}, "ledger"),
    make("dd", {}, make("code", { title: text }, short)),
  );
}
