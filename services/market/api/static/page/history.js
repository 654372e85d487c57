// What the page remembers: the newest ticks, the terms of their prices, the events that they lie in.

/** Ticks kept, and no more: the memory of a page that is open for a year is that of an hour. */
export const KEPT = 1000;

const SLACK = 100; // room, so that the oldest are not thrown away one by one

export class History {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = []; // of /prices, one a tick without a gap, oldest first
    this.terms = new Map(); // tick -> the terms of its price
    this.events = new Map(); // key -> { name, coefficient, first, last, source }
    this.homes = null; // the newest change of the roster
    this.next = null; // { tick, price } that follows the newest row
  }

  get newest() {
    return this.rows.length ? this.rows[this.rows.length - 1].tick : 0;
  }

  /** The row of a tick, undefined for one that is not kept. */
  at(tick) {
    return this.rows.length ? this.rows[tick - this.rows[0].tick] : undefined;
  }

  /** The price of a tick, of the coming one too; undefined for one that is not known. */
  priceOf(tick) {
    return (
      this.at(tick)?.price_eur_per_kwh ?? (this.next?.tick === tick ? this.next.price : undefined)
    );
  }

  /** Begins anew with rows of `/prices`. */
  replace(rows) {
    this.rows = rows.slice(-KEPT);
    this.next = null;
    this.#forget();
  }

  /** Takes in the data of a `tick`. False when ticks are missing before it. */
  add(tick) {
    if (tick.tick <= this.newest) return true;
    if (this.rows.length && tick.tick !== this.newest + 1) return false;
    const { terms, next_price_eur_per_kwh: price, ...row } = tick;
    this.rows.push(row);
    this.next = { tick: row.tick + 1, price };
    if (terms) this.terms.set(row.tick + 1, terms);
    if (this.rows.length > KEPT + SLACK) {
      this.rows = this.rows.slice(-KEPT);
      this.#forget();
    }
    return true;
  }

  /** Takes in an external event, of `/stream` or of `/events`; one that is there already stays one. */
  addEvent({ name, coefficient_eur_per_kwh: coefficient, start_tick: first, ttl_ticks, source }) {
    const last = first + ttl_ticks - 1;
    this.events.set(`${first} ${name} ${source} ${coefficient} ${last}`, {
      name,
      coefficient,
      first,
      last,
      source,
    });
  }

  /** The events that live in a tick, those that began first in front. */
  eventsIn(from, to = from) {
    return [...this.events.values()]
      .filter((event) => event.first <= to && event.last >= from)
      .sort((one, other) => one.first - other.first || one.name.localeCompare(other.name));
  }

  #forget() {
    const oldest = this.rows.length ? this.rows[0].tick : 0;
    for (const tick of this.terms.keys()) if (tick < oldest) this.terms.delete(tick);
    for (const [key, event] of this.events) if (event.last < oldest) this.events.delete(key);
  }
}
