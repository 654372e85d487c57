// External events as labelled bands over the ticks of their life, in lanes above the line.

import { make } from "./dom.js";
import { arrow, told, words } from "./format.js";

/**
 * Lanes for labels; what finds none keeps its band. A name that is cut, or has no lane, stands below
 * the charts while somebody points at a tick of it.
 */
export const LANES = 3;
export const LANE_PX = 21;

const LETTER_PX = 6.4;
const SIGN_PX = 26;
const LEAST_NAME_PX = 40; // where a name has less room, its sign stands alone
const SIGN_ALONE_PX = 17;

/**
 * The lane of each event, in the order of their beginnings; -1 where all are taken. An event takes
 * its lane for `ticksOf(event)` ticks at least, for its name to be read, if any lane has the room.
 */
export function lanesOf(events, ticksOf) {
  const alive = new Array(LANES).fill(-Infinity); // until when each lane is taken by a life
  const named = new Array(LANES).fill(-Infinity); // … and by a name
  return events.map((event) => {
    let lane = named.findIndex((last) => last < event.first);
    if (lane < 0) lane = alive.findIndex((last) => last < event.first);
    if (lane < 0) return -1;
    alive[lane] = event.last;
    named[lane] = Math.max(event.last, event.first + ticksOf(event) - 1);
    return lane;
  });
}

const keyOf = (event) => Object.values(event).join(" ");
const labelPx = (event) => SIGN_PX + LETTER_PX * event.name.length;

export class Bands {
  #made = new Map();

  constructor(chart) {
    this.chart = chart;
    this.root = make("div", "bands");
    chart.over.append(this.root);
  }

  /** Puts the bands of `events` where they belong in the ticks from `from` to `to`. */
  show(events, from, to) {
    const x = (tick) => this.chart.valToPos(Math.min(Math.max(tick, from), to), "x");
    const tickPx = x(from + 1) - x(from) || 1;
    const lanes = lanesOf(events, (event) => Math.ceil(labelPx(event) / tickPx));
    const bands = events.map((event) => this.#band(event));
    const free = new Array(LANES).fill(x(to)); // where the next name in a lane begins
    for (let index = events.length - 1; index >= 0; index -= 1) {
      const lane = lanes[index];
      const left = x(events[index].first - 0.5);
      place(
        bands[index],
        left,
        x(events[index].last + 0.5) - left,
        lane,
        lane < 0 ? 0 : free[lane] - left,
      );
      if (lane >= 0) free[lane] = left;
    }
    const shown = new Set(bands);
    for (const [key, band] of this.#made)
      if (!shown.has(band)) {
        band.remove();
        this.#made.delete(key);
      }
  }

  #band(event) {
    const key = keyOf(event);
    if (!this.#made.has(key)) {
      const band = made(event);
      band.firstChild.addEventListener("mousemove", ({ clientX }) => this.#point(event, clientX));
      this.#made.set(key, band);
      this.root.append(band);
    }
    return this.#made.get(key);
  }

  /** The chart does not hear what happens on a label: whoever points there points at a tick too. */
  #point({ first, last }, clientX) {
    const left = clientX - this.root.getBoundingClientRect().left;
    const tick = Math.min(Math.max(Math.round(this.chart.posToVal(left, "x")), first), last);
    this.chart.setCursor({ left: this.chart.valToPos(tick, "x"), top: 1 });
  }
}

function made(event) {
  const sign = make("span", { "aria-hidden": "true" }, `${arrow(event.coefficient)} `);
  const title = `${told(event)} EUR/kWh each tick, ticks ${event.first} to ${event.last}, from ${words(event.source)}`;
  const label = make(
    "div",
    { className: "band-label", title },
    make("span", "band-name", sign, words(event.name)),
  );
  return make("div", `band ${event.coefficient > 0 ? "raise" : "lower"}`, label);
}

/** In pixels: the band, and its name within the room that its lane has. */
function place(band, left, width, lane, room) {
  band.style.transform = `translateX(${left.toFixed(1)}px)`;
  band.style.width = `${Math.max(width, 1).toFixed(1)}px`;
  const label = band.firstChild;
  label.hidden = lane < 0;
  label.style.top = `${-(LANES - lane) * LANE_PX}px`;
  const px = room < LEAST_NAME_PX ? Math.min(room, SIGN_ALONE_PX) : room - 4;
  label.firstChild.style.maxWidth = `${Math.max(0, px).toFixed(1)}px`;
  label.firstChild.classList.toggle("alone", room < LEAST_NAME_PX);
}
