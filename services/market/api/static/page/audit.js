// The audit strip: what must be nought, and whether it is. Green only when every number is.

import { $, make, say } from "./dom.js";
import { number } from "./format.js";

/** Says that nothing is known of the audit: what it was is no news of what it is. */
export function doubtAudit() {
  if ($("audit").dataset.state === "unknown") return;
  $("audit").dataset.state = "unknown";
  say($("audit-word"), "The audit is not known now");
  $("audit-facts").replaceChildren();
}

export function showAudit(audit) {
  const { late_messages: late, refused_messages: refused } = audit;
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
