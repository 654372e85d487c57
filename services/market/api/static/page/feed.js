// The one connection to the market's stream: what it brings goes into the history, without a gap.

import { ask, readiness } from "./api.js";
import { KEPT } from "./history.js";
import { statusOf } from "./status.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;
const OPENING_MS = 10_000;
const LOOK_MS = 500;
const DOUBT_MS = 4000; // between two questions to a market that is silent
const SILENT = new Set(["STALE", "WAITING", "PAUSED"]);

export class Feed {
  /** `changed` is called after anything that may be shown has changed. */
  constructor(history, changed) {
    this.history = history;
    this.changed = changed;
    this.run = null;
    this.clock = null;
    this.open = false; // whether the stream is
    this.homes = null; // that hold a place, while no tick tells
    this.why = ""; // why nothing moves, in the market's words
    this.#since = performance.now();
  }

  #source = null;
  #wasOpen = false;
  #since; // when something last moved, by the clock that never jumps
  #asked = 0;
  #waitMs = FIRST_WAIT_MS;
  #gap = false; // the stream cannot bring what was missed

  start() {
    this.#connect();
    setInterval(() => this.#look(), LOOK_MS);
  }

  /** { word, silentS }: the state, and since when nothing moves. */
  status() {
    const silentMs = performance.now() - this.#since;
    const known = { open: this.open, wasOpen: this.#wasOpen, clock: this.clock, silentMs };
    return { word: statusOf({ ...known, newest: this.history.newest }), silentS: silentMs / 1000 };
  }

  async #connect() {
    try {
      await this.#catchUp();
    } catch (error) {
      this.why = error.message;
      this.#again();
      return;
    }
    const source = new EventSource(`/stream?from_tick=${this.history.newest + 1}`);
    this.#source = source;
    const timeout = setTimeout(() => this.#lost(source), OPENING_MS);
    source.onopen = () => {
      clearTimeout(timeout);
      this.open = this.#wasOpen = true;
      this.#waitMs = FIRST_WAIT_MS;
      this.why = "";
      this.changed();
    };
    source.onerror = () => {
      clearTimeout(timeout);
      this.#lost(source);
    };
    const hear = (name, take) =>
      source.addEventListener(name, (event) => {
        if (source !== this.#source) return;
        take(JSON.parse(event.data));
        this.changed();
      });
    hear("tick", (tick) => this.#tick(tick));
    hear("event", (event) => this.history.addEvent(event));
    hear("homes", (change) => (this.history.homes = change));
    hear("clock", (clock) => this.setClock(clock));
  }

  /**
   * Before each connection: is it the same run, and is the gap short enough to be streamed? One that
   * the stream has left open, because the ledger holds these ticks no more, is left behind.
   */
  async #catchUp() {
    const run = await ask("/run");
    if (this.run && run.run !== this.run.run) this.history.clear();
    this.run = run;
    const { newest } = this.history;
    const far = newest === 0 || run.tick < newest || run.tick - newest > KEPT;
    if (run.tick > 0 && (far || this.#gap)) {
      const { prices } = await ask(`/prices?limit=${KEPT}`);
      this.history.replace(prices);
      this.#gap = false;
      await this.#next();
      const last = prices[prices.length - 1];
      if (last) this.#since = performance.now() - Math.max(0, Date.now() - Date.parse(last.at));
    }
    const events = await ask("/events?limit=200");
    for (const event of [...events.past, ...events.alive, ...events.coming])
      this.history.addEvent(event);
    this.changed();
  }

  /** The price that follows what was read: the stream tells it with each tick, /prices does not. */
  async #next() {
    const { newest, terms } = this.history;
    const { tick, price_eur_per_kwh: price, terms: its } = await ask(`/prices/${newest + 1}`);
    this.history.next = { tick, price };
    terms.set(tick, its);
  }

  #tick(tick) {
    this.#since = performance.now();
    this.homes = null;
    this.why = "";
    if (this.history.add(tick)) return;
    this.#gap = true;
    this.#lost(this.#source);
  }

  /** A clock, from the stream or as the answer to a write. */
  setClock(clock) {
    const before = this.clock;
    const moved = !before || before.state !== clock.state || before.pace_s !== clock.pace_s;
    if (before && moved) this.#since = performance.now();
    this.clock = clock;
    this.changed();
  }

  #lost(source) {
    source.close();
    if (source !== this.#source) return;
    this.#source = null;
    this.open = false;
    this.#again();
  }

  #again() {
    this.changed();
    setTimeout(() => this.#connect(), this.#waitMs);
    this.#waitMs = Math.min(2 * this.#waitMs, LONGEST_WAIT_MS);
  }

  /**
   * A stream can be dead without a word: a silent one is doubted, and the market asked why. It does
   * not tell either that a tick is open and hangs, or that homes are gone: that is asked for too.
   */
  async #look() {
    this.changed();
    const { word } = this.status();
    const now = performance.now();
    if (!SILENT.has(word) || now - this.#asked < DOUBT_MS) return;
    this.#asked = now;
    const source = this.#source;
    const before = this.clock;
    const { newest } = this.history;
    try {
      const [run, clock] = await Promise.all([ask("/run"), ask("/clock")]);
      const dead =
        run.run !== this.run.run || (run.tick > newest && this.history.newest === newest);
      if (dead && source) this.#lost(source);
      else {
        if (this.history.newest === newest) this.homes = run.homes;
        if (this.clock === before) this.setClock(clock);
        this.why = word === "PAUSED" ? "" : reason(await readiness());
      }
    } catch (error) {
      if (source) this.#lost(source);
      this.why = error.message;
    }
    this.changed();
  }
}

function reason(ready) {
  if (ready === null) return "";
  const missing = Object.entries(ready.checks ?? {}).filter(([, there]) => !there);
  const said = ready.waiting_for?.length ? `waits for ${ready.waiting_for.join(", ")}` : "";
  if (missing.length)
    return `The market answers, but not its ${missing.map(([name]) => name).join(", ")}.`;
  return said ? `The market ${said}.` : "The market answers; the tick has not moved.";
}
