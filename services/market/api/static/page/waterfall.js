// Why a price is what it is: its terms as steps, each from where the one before has ended.

import { ask } from "./api.js";
import { $, make, say } from "./dom.js";
import { number, signed, term } from "./format.js";

const PATIENCE_MS = 60; // a pointer that only passes over a tick asks for nothing
const IN_NEUR = 1e6;

/** What the terms mean that are in no list of events. */
const MEANINGS = {
  decay: "what stays of the price before",
  base: "the share of the base price",
  heating: "it is cold, and homes need more",
  cooling: "it is hot, and homes need more",
  bought: "what homes bought from the market",
  sold: "what homes sold to the market",
};

/** Prices in whole nEUR/Wh, in which they are exact. */
const exact = (eurPerKwh) => Math.round(eurPerKwh * IN_NEUR);

/** The steps of a waterfall, { name, from, to } in nEUR/Wh; the last one ends at the price. */
export function steps(terms) {
  let sum = 0;
  return terms.map(({ name, eur_per_kwh: value }) => ({
    name,
    from: sum,
    to: (sum += exact(value)),
  }));
}

export class Waterfall {
  constructor(history) {
    this.history = history;
  }

  #wanted = null;
  #shown = null; // the terms that are drawn
  #asked = new Set(); // ticks whose terms are on their way
  #timer = 0;

  /**
   * Shows why the price of a tick is what it is, as soon as its terms are known. They are asked for
   * once, however often the page is drawn meanwhile, and if they cannot be had not until somebody
   * has looked at another tick.
   */
  show(tick) {
    const terms = this.history.terms.get(tick);
    if (tick === this.#wanted && (terms === undefined || terms === this.#shown)) return;
    this.#wanted = tick;
    clearTimeout(this.#timer);
    if (terms) this.#draw(tick, terms);
    else if (tick > 0) this.#timer = setTimeout(() => this.#fetch(tick), PATIENCE_MS);
  }

  async #fetch(tick) {
    if (this.#asked.has(tick)) return;
    this.#asked.add(tick);
    try {
      const { terms } = await ask(`/prices/${tick}`);
      this.history.terms.set(tick, terms);
      if (this.#wanted === tick) this.#draw(tick, terms);
    } catch (error) {
      if (this.#wanted === tick) this.#clear(tick, error.message);
    } finally {
      this.#asked.delete(tick);
    }
  }

  #clear(tick, sentence) {
    this.#shown = null;
    $("waterfall").replaceChildren();
    delete $("waterfall").dataset.tick;
    say($("why-tick"), `The price of tick ${number(tick)}`);
    say($("why-sum"), sentence);
    $("why-sum").classList.remove("wrong");
  }

  #draw(tick, terms) {
    this.#shown = terms;
    const all = steps(terms);
    const price = all.length ? all[all.length - 1].to : 0;
    const low = Math.min(0, ...all.map((step) => step.to));
    const high = Math.max(0, ...all.map((step) => step.to)) || 1;
    const share = (value) => (100 * (value - low)) / (high - low);
    const rows = all.map((step) =>
      row(step.name, signed((step.to - step.from) / IN_NEUR, 6), step, share),
    );
    const total = row("price", number(price / IN_NEUR, 6), { from: 0, to: price }, share, true);
    const root = $("waterfall");
    root.replaceChildren(make("tbody", {}, ...rows, total));
    root.dataset.tick = tick;
    say($("why-tick"), `The price of tick ${number(tick)}, in EUR/kWh`);
    const known = this.history.priceOf(tick);
    const right = known === undefined || exact(known) === price;
    say(
      $("why-sum"),
      right ? "The terms add up to the price exactly." : "The terms do NOT add up to the price.",
    );
    $("why-sum").classList.toggle("wrong", !right);
  }
}

function row(name, text, { from, to }, share, total = false) {
  const bar = make(
    "div",
    `bar ${total ? "total" : to > from ? "raise" : to < from ? "lower" : "nought"}`,
  );
  bar.style.left = `${share(Math.min(from, to))}%`;
  bar.style.width = `${Math.abs(share(to) - share(from))}%`;
  return make(
    "tr",
    total ? "total" : to === from ? "nought" : "",
    make("th", { scope: "row", title: MEANINGS[name] ?? "" }, term(name)),
    make("td", { className: "track", "aria-hidden": "true" }, bar),
    make("td", "figure", text),
  );
}
