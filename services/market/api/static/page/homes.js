// The homes as a grid of which only the rows in sight are made: as smooth with 10,000 as with one.

import { ask } from "./api.js";
import { $, make, say } from "./dom.js";
import { NOTHING, number, signed, words } from "./format.js";

const MOST = 10_000; // homes that are asked for; more are counted, and not listed
const LEAST_MS = 1000;
const MS_A_HOME = 2; // between two reads: a home is some 400 bytes, which makes 200 kB/s at most
const ROW_PX = 38;
const BEYOND = 8; // rows made above and below those in sight

const last = (name) => (home) => home.last_tick?.[name] ?? -Infinity;
const COLUMNS = [
  { name: "home", value: (home) => home.id },
  { name: "surplus", value: (home) => home.surplus_policy ?? "" },
  { name: "need", value: (home) => home.need_policy ?? "" },
  { name: "produced", unit: "kWh", value: last("produced_kwh") },
  { name: "consumed", unit: "kWh", value: last("consumed_kwh") },
  { name: "stock", unit: "kWh", value: (home) => home.stock_kwh },
  { name: "bill", unit: "EUR", value: (home) => home.bill_eur },
];

/** All homes that hold a place, up to `MOST`, and how many there are. */
export async function readHomes() {
  const homes = [];
  let page = await ask(`/homes?limit=${MOST}`);
  homes.push(...page.homes);
  while (page.next_cursor && homes.length < MOST) {
    page = await ask(`/homes?limit=${MOST}&cursor=${encodeURIComponent(page.next_cursor)}`);
    homes.push(...page.homes);
  }
  return { homes, total: page.total };
}

/** How long to wait before all homes are read again, in ms; `read`: what was read, null if nothing. */
export const homesEveryMs = (read) => Math.max(LEAST_MS, MS_A_HOME * (read?.homes.length ?? 0));

/** Whether a home has every word of a filter: a number is an id, a word part of policy or status. */
export function passes(home, filter) {
  const known = `${home.surplus_policy ?? ""} ${home.need_policy ?? ""} ${home.status}`;
  return filter
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .every((word) => (/^\d+$/.test(word) ? String(home.id) === word : known.includes(word)));
}

export class Homes {
  /** `open` is called with a home that is chosen. */
  constructor(open) {
    this.#open = open;
    this.#head = this.#makeHead();
    this.#body = make("div", { className: "grid-body", role: "rowgroup" });
    this.#scroll = make("div", { className: "grid-scroll", role: "presentation" }, this.#body);
    $("homes").append(make("div", { role: "rowgroup" }, this.#head), this.#scroll);
    this.#scroll.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.#scroll.addEventListener("keydown", (event) => this.#key(event));
    $("homes-search").addEventListener("input", () => this.#total === null || this.#arrange());
    new ResizeObserver(() => this.#draw()).observe(this.#scroll);
  }

  #open;
  #head;
  #body;
  #scroll;
  #all = [];
  #total = null; // of all homes that there are; null until they have been read
  #rows = []; // those that pass the filter, in order
  #made = new Map(); // index -> its row
  #sort = { column: 0, down: false };
  #current = 0; // the row that Tab goes to

  show({ homes, total }) {
    this.#all = homes;
    this.#total = total;
    this.#arrange();
  }

  #makeHead() {
    const cells = COLUMNS.map(({ name, unit }, index) => {
      const button = make(
        "button",
        { type: "button" },
        name,
        unit ? make("span", "unit", ` ${unit}`) : null,
      );
      button.addEventListener("click", () => this.#sortBy(index));
      return make(
        "div",
        { role: "columnheader", className: index > 2 ? "figure" : "", "aria-colindex": index + 1 },
        button,
      );
    });
    return make("div", { className: "grid-row head", role: "row", "aria-rowindex": 1 }, ...cells);
  }

  #sortBy(column) {
    const { column: before, down } = this.#sort;
    // Numbers are of interest from the largest down, names from the first on.
    this.#sort = { column, down: before === column ? !down : column > 2 };
    this.#scroll.scrollTop = 0;
    this.#current = 0;
    this.#arrange();
  }

  #arrange() {
    const { column, down } = this.#sort;
    const { value } = COLUMNS[column];
    const filter = $("homes-search").value;
    const sign = down ? -1 : 1;
    const keyed = this.#all
      .filter((home) => passes(home, filter))
      .map((home) => [value(home), home]);
    keyed.sort(([a, one], [b, other]) => (a < b ? -sign : a > b ? sign : one.id - other.id));
    this.#rows = keyed.map(([, home]) => home);
    this.#current = Math.min(this.#current, Math.max(0, this.#rows.length - 1));
    [...this.#head.children].forEach((cell, index) => {
      if (index === column) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
    $("homes").setAttribute("aria-rowcount", this.#rows.length + 1);
    this.#body.style.height = `${this.#rows.length * ROW_PX}px`;
    this.#count(filter);
    this.#draw();
  }

  #count(filter) {
    const [shown, total] = [this.#rows.length, this.#total];
    const listed = this.#all.length < total ? `the first ${number(this.#all.length)} of ` : "";
    say(
      $("homes-count"),
      filter ? `${number(shown)} of ${listed}${number(total)}` : `${listed}${number(total)}`,
    );
    $("homes").hidden = this.#all.length === 0;
    $("homes-empty").hidden = shown > 0;
    say(
      $("homes-empty"),
      this.#all.length ? "No home passes this filter." : "No home holds a place.",
    );
  }

  /** Makes the rows in sight, and lets go of the others. */
  #draw() {
    const { scrollTop, clientHeight } = this.#scroll;
    const from = Math.max(0, Math.floor(scrollTop / ROW_PX) - BEYOND);
    const to = Math.min(this.#rows.length, Math.ceil((scrollTop + clientHeight) / ROW_PX) + BEYOND);
    const focused = this.#body.contains(document.activeElement);
    for (const [index, row] of this.#made)
      if (index < from || index >= to) {
        if (focused && row.contains(document.activeElement)) continue; // focus must not fall away
        row.remove();
        this.#made.delete(index);
      }
    let before = null;
    for (let index = from; index < to; index += 1) {
      const row = this.#made.get(index) ?? this.#make(index);
      fill(row, this.#rows[index]);
      row.firstChild.firstChild.tabIndex = index === this.#current ? 0 : -1;
      // In the document the rows stand as they are seen.
      if (!row.parentNode) before ? before.after(row) : this.#body.prepend(row);
      before = row;
    }
    for (const [index, row] of this.#made) if (index >= this.#rows.length) this.#drop(index, row);
    if (!this.#made.has(this.#current)) this.#tabTo(from);
  }

  #drop(index, row) {
    row.remove();
    this.#made.delete(index);
  }

  #tabTo(index) {
    const row = this.#made.get(index);
    if (row) row.firstChild.firstChild.tabIndex = 0;
  }

  #make(index) {
    const row = make("div", { className: "grid-row", role: "row", "aria-rowindex": index + 2 });
    row.style.transform = `translateY(${index * ROW_PX}px)`;
    const cell = (className, ...children) =>
      make("div", { className, role: "gridcell" }, ...children);
    const bar = make("span", { className: "stock", "aria-hidden": "true" }, make("i"));
    row.append(
      cell("", make("button", { type: "button", tabIndex: -1 })),
      ...[1, 2].map(() => cell("")),
      ...[3, 4].map(() => cell("figure")),
      cell("figure", bar, make("span")),
      cell("figure"),
    );
    [...row.children].forEach((each, column) => each.setAttribute("aria-colindex", column + 1));
    row.addEventListener("click", () => {
      this.#current = index;
      this.#open(this.#rows[index].id);
    });
    this.#made.set(index, row);
    return row;
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.#scroll.clientHeight / ROW_PX) - 1);
    const to = {
      ArrowDown: this.#current + 1,
      ArrowUp: this.#current - 1,
      PageDown: this.#current + page,
      PageUp: this.#current - page,
      Home: 0,
      End: this.#rows.length - 1,
    }[event.key];
    if (to === undefined || !this.#rows.length) return;
    event.preventDefault();
    this.#current = Math.min(Math.max(to, 0), this.#rows.length - 1);
    const top = this.#current * ROW_PX;
    const { scrollTop, clientHeight } = this.#scroll;
    if (top < scrollTop) this.#scroll.scrollTop = top;
    else if (top + ROW_PX > scrollTop + clientHeight)
      this.#scroll.scrollTop = top + ROW_PX - clientHeight;
    this.#draw();
    this.#made.get(this.#current)?.firstChild.firstChild.focus({ preventScroll: true });
  }
}

function fill(row, home) {
  const [id, surplus, need, produced, consumed, stock, bill] = row.children;
  say(id.firstChild, `Home ${home.id}`);
  say(surplus, words(home.surplus_policy ?? NOTHING));
  say(need, words(home.need_policy ?? NOTHING));
  say(produced, number(home.last_tick?.produced_kwh, 2));
  say(consumed, number(home.last_tick?.consumed_kwh, 2));
  say(bill, signed(home.bill_eur, 2));
  const share = home.capacity_kwh ? Math.min(1, home.stock_kwh / home.capacity_kwh) : 0;
  stock.firstChild.hidden = !home.capacity_kwh;
  stock.firstChild.firstChild.style.width = `${(100 * share).toFixed(0)}%`;
  say(stock.lastChild, number(home.stock_kwh, 2));
  row.dataset.status = home.status;
  row.title = home.status === "active" ? "" : home.status;
}
