// Three charts over one line of ticks, with one cursor: price, temperature, bought against sold.

/* global uPlot */
import { Bands, LANES, LANE_PX } from "./bands.js";
import { colours, onScheme } from "./colours.js";
import { number, told } from "./format.js";

const SYNC = "ticks";
const AXIS_PX = 52;
const LEAST_AHEAD = 2;
const LEAST_SPAN = 24;
const TICK_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** A line's options. */
const line = (stroke, more = {}) => ({ stroke, width: 2, points: { show: false }, ...more });
const colour = (name) => () => colours[name];
export const FONT = "12px Inter, system-ui, sans-serif";

function axis(digits, more = {}) {
  return {
    size: AXIS_PX,
    gap: 6,
    font: FONT,
    stroke: colour("quiet"),
    grid: { stroke: colour("grid"), width: 1 },
    ticks: { show: false },
    values: (_, splits) =>
      splits.map((value) => (value === null ? "" : number(value, digits(splits)))),
    ...more,
  };
}

/** As many decimals as the steps of an axis need to be told exactly. */
function decimals(splits) {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0)) || 1;
  let digits = 0;
  while (digits < 6 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6)
    digits += 1;
  return digits;
}

/** The ticks of the lower axis; there is none before the first. */
const tickNumbers = (_, splits) => splits.map((tick) => (tick < 1 ? "" : number(tick)));

const room = (share) => (_, low, high) => {
  if (low === null || high === null) return [0, 1];
  const margin = (high - low || Math.abs(high) || 1) * share;
  return [low - margin, high + margin];
};

/** Bought upwards and sold downwards, on one scale whose zero is always there. */
const aroundZero = (_, low, high) => [
  Math.min(low ?? 0, 0) * 1.1 || -0.1,
  Math.max(high ?? 0, 0) * 1.1 || 0.1,
];

function options(height, { y, series, values, bottom = false, top = 8 }) {
  const xAxis = bottom
    ? axis(() => 0, {
        size: 26,
        gap: 4,
        grid: { show: false },
        incrs: TICK_STEPS,
        values: tickNumbers,
      })
    : { show: false };
  return {
    width: 300,
    height,
    padding: [top, 10, bottom ? 0 : 6, 0],
    legend: { show: false },
    cursor: {
      sync: { key: SYNC, scales: ["x", null], setSeries: false },
      drag: { x: false, y: false, setScale: false },
      y: false,
      points: {
        size: 8,
        width: 2,
        stroke: (u, i) => u.series[i].stroke(u, i),
        fill: colour("card"),
      },
    },
    scales: { x: { time: false, range: (u) => u.shownRange ?? [0, 1] }, y: { range: y } },
    axes: [xAxis, axis(values ?? decimals, { space: bottom ? 26 : 32 })],
    series: [{}, ...series],
  };
}

const bars = (fill) => ({
  stroke: fill,
  fill,
  width: 0,
  points: { show: false },
  paths: (...all) => uPlot.paths.bars({ size: [0.75, 14], align: 0 })(...all),
});

const PRICE = {
  y: room(0.12),
  top: LANES * LANE_PX + 10,
  series: [
    line(colour("price"), { fill: colour("price-fill"), fillTo: (u) => u.scales.y.min }),
    line(colour("price"), { dash: [4, 4] }),
  ],
};
const TEMPERATURE = {
  y: room(0.12),
  series: [line(colour("warmth")), line(colour("warmth"), { dash: [4, 4] })],
};
const TRADE = {
  y: aroundZero,
  values: decimals,
  bottom: true,
  series: [bars(colour("raise")), bars(colour("lower"))],
};

export class Charts {
  /** `places`: elements by name; `pointed` is called with a tick, or null when none is pointed at. */
  constructor(places, pointed) {
    this.#pointed = pointed;
    this.#charts = [
      this.#chart(places.price, 264, PRICE),
      this.#chart(places.temperature, 92, TEMPERATURE),
      this.#chart(places.trade, 134, TRADE),
    ];
    this.#bands = new Bands(this.#charts[0]);
    this.slider = places.price;
    this.slider.addEventListener("keydown", (event) => this.#key(event));
    this.slider.addEventListener("blur", () => this.choose(null));
    new ResizeObserver(() => this.#fit()).observe(places.price);
    onScheme(() => this.#charts.forEach((chart) => chart.redraw(false, true)));
  }

  #charts;
  #bands;
  #pointed;
  #chosen = null; // the tick that the keyboard stays on
  #ticks = [];
  #last = 0;
  #moving = false; // the cursor is moved by this page, not by a pointer

  #chart(place, height, what) {
    const made = new uPlot(options(height, what), [[], ...what.series.map(() => [])], place);
    made.hooks.setCursor = [(chart) => this.#moved(chart)];
    made.hooks.draw = [(chart) => this.#drawn(chart)]; // only then are its scales those of the data
    return made;
  }

  #fit() {
    for (const chart of this.#charts) {
      const width = chart.root.parentElement.clientWidth;
      if (width && width !== chart.width) chart.setSize({ width, height: chart.height });
    }
  }

  #drawn(chart) {
    const range = chart.shownRange;
    if (chart === this.#charts[0] && range) this.#bands.show(this.#events, ...range);
    if (this.#chosen !== null) this.#put(chart, this.#chosen);
  }

  /** Shows the newest `span` ticks of a history, with what is known of the ticks to come. */
  show(history, forecast, span) {
    const rows = history.rows.slice(-span);
    if (!rows.length) return;
    this.#last = history.newest;
    const wanted = Math.max(LEAST_AHEAD, Math.round(span / 12));
    const coming = forecast.filter(({ tick }) => tick > this.#last && tick <= this.#last + wanted);
    const ahead = Math.max(LEAST_AHEAD, coming.length);
    const none = new Array(ahead).fill(null);
    const earlier = new Array(rows.length - 1).fill(null);
    const newest = rows[rows.length - 1];
    this.#ticks = [
      ...rows.map((row) => row.tick),
      ...none.map((_, index) => this.#last + 1 + index),
    ];
    const pad = [...none].fill(null);
    const line = (name) => [...rows.map((row) => row[name]), ...pad];
    const next = [
      ...earlier,
      newest.price_eur_per_kwh,
      history.next?.price ?? null,
      ...pad.slice(1),
    ];
    const known = new Map(coming.map(({ tick, temperature_c: degrees }) => [tick, degrees]));
    const warmth = none.map((_, index) => known.get(this.#last + 1 + index) ?? null);
    const first = rows[0].tick;
    const range = [first - 0.5, Math.max(this.#last + ahead, first + LEAST_SPAN) + 0.5];
    this.#events = history.eventsIn(range[0], range[1]);
    this.#set(range, [
      [this.#ticks, line("price_eur_per_kwh"), next],
      [this.#ticks, line("temperature_c"), [...earlier, newest.temperature_c, ...warmth]],
      [this.#ticks, line("bought_kwh"), line("sold_kwh").map((kwh) => kwh && -kwh)],
    ]);
    // What is focused and not moved by hand is not read aloud with every tick.
    if (document.activeElement !== this.slider || this.#chosen !== null) this.describe(history);
  }

  #events = [];

  #set(range, all) {
    this.#moving = true;
    this.#charts.forEach((chart, index) => {
      chart.shownRange = range;
      chart.setData(all[index]);
    });
    this.#moving = false;
  }

  #moved(chart) {
    if (this.#moving || this.#chosen !== null) return;
    const { left, idx } = chart.cursor;
    const tick = left >= 0 && idx !== null && idx !== undefined ? this.#ticks[idx] : null;
    if (tick === this.#under) return;
    this.#under = tick;
    this.#pointed(tick);
  }

  #under = null; // the tick under the pointer

  /** Moves the cursor to a tick and stays there; null lets it go. */
  choose(tick) {
    this.#chosen = tick;
    for (const chart of this.#charts) this.#put(chart, tick);
    this.#pointed(tick);
  }

  #put(chart, tick) {
    this.#moving = true;
    chart.setCursor({
      left: tick === null ? -10 : chart.valToPos(tick, "x"),
      top: tick === null ? -10 : 1,
    });
    this.#moving = false;
  }

  #key(event) {
    if (!this.#ticks.length) return;
    const first = this.#ticks[0];
    const now = this.#chosen ?? this.#last + 1;
    const to = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageUp: now - 10,
      PageDown: now + 10,
      Home: first,
      End: this.#last,
      Escape: null,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose(to === null ? null : Math.min(Math.max(to, first), this.#last));
  }

  /** Brings what the slider says of itself up to date. */
  describe(history) {
    if (!this.#ticks.length) return;
    const tick = this.#chosen ?? this.#last;
    const price = `tick ${tick}, ${number(history.priceOf(tick), 4)} EUR/kWh`;
    const text = [price, ...history.eventsIn(tick).map(told)].join(", ");
    const said = {
      valuemin: this.#ticks[0],
      valuemax: this.#last,
      valuenow: tick,
      valuetext: text,
    };
    for (const [name, value] of Object.entries(said))
      this.slider.setAttribute(`aria-${name}`, value);
  }
}
