// What the token allows: pause, step, pace, an event, the ledger. The API's sentences are shown.

import { ask, save, token, write } from "./api.js";
import { $, choice, say } from "./dom.js";
import { number, signed, words } from "./format.js";

const SPEEDS = [
  { value: 0.25, text: "¼×" },
  { value: 0.5, text: "½×" },
  { value: 1, text: "1×" },
  { value: 2, text: "2×" },
  { value: 5, text: "5×" },
  { value: 20, text: "20×" },
  { value: Infinity, text: "full", title: "as fast as the homes answer" },
];

export class Controls {
  constructor(feed) {
    this.feed = feed;
    this.#press = choice($("paces"), SPEEDS, null, (speed) => this.#pace(speed));
    const on = (id, what, act) =>
      $(id).addEventListener(what, (event) => {
        event.preventDefault();
        this.#try(act);
      });
    on("token-form", "submit", () => this.#unlock());
    on("lock", "click", async () => this.#locked("Locked."));
    on("pause", "click", () => this.#toggle());
    on("step", "click", () => this.#write("POST", "/clock/step", { ticks: 1 }));
    on("event-form", "submit", () => this.#startEvent());
    on("ledger", "click", () => this.#ledger());
    this.#open(token.get() !== null);
  }

  #press;

  /** Seconds per tick at 1x: what the market was started with. */
  get #baseS() {
    return this.feed.run?.settings?.tick_seconds || 1;
  }

  /** Brings buttons in step with the clock. */
  show(clock) {
    if (!clock) return;
    const running = clock.state === "running";
    const finished = clock.state === "finished";
    say($("pause"), running || finished ? "Pause" : "Run");
    $("pause").disabled = finished;
    $("step").disabled = clock.state !== "paused";
    const speed = clock.pace_s === 0 ? Infinity : this.#baseS / clock.pace_s;
    this.#press(
      SPEEDS.find(({ value }) => value === speed || Math.abs(value - speed) < 0.01)?.value,
    );
  }

  async #try(act) {
    say($("control-says"), "");
    $("control-says").classList.remove("wrong");
    try {
      say($("control-says"), (await act()) ?? "");
    } catch (error) {
      if (error.status === 401) this.#locked("");
      $("control-says").classList.add("wrong");
      say($("control-says"), error.message);
    }
  }

  async #write(method, path, body) {
    this.feed.setClock(await write(method, path, body));
  }

  /** Keeps the token once the market has taken it, which a write that changes nothing tells. */
  async #unlock() {
    const tried = $("token").value.trim();
    const { pace_s } = await ask("/clock");
    await write("PATCH", "/clock", { pace_s }, tried).catch((error) => {
      if (error.status !== 409) throw error; // over, yet the token is right
    });
    token.set(tried);
    $("token").value = "";
    this.#open(true);
    $("pause").focus();
    return "Unlocked for this tab.";
  }

  #locked(sentence) {
    token.forget();
    this.#open(false);
    $("token").focus();
    return sentence;
  }

  #open(open) {
    $("controls").hidden = !open;
    $("token-form").hidden = open;
  }

  async #toggle() {
    const state = this.feed.clock?.state === "running" ? "paused" : "running";
    await this.#write("PATCH", "/clock", { state });
  }

  #pace(speed) {
    const pace_s = speed === Infinity ? 0 : this.#baseS / speed;
    this.#try(() => this.#write("PATCH", "/clock", { pace_s }));
  }

  async #startEvent() {
    const started = await write("POST", "/events", {
      name: $("event-name").value.trim(),
      coefficient_eur_per_kwh: Number($("event-coefficient").value),
      ttl_ticks: Number($("event-ttl").value),
    });
    this.feed.history.addEvent(started);
    this.feed.changed();
    const coefficient = signed(started.coefficient_eur_per_kwh, 4);
    return `${words(started.name)} (${coefficient}) begins in tick ${number(started.start_tick)}.`;
  }

  async #ledger() {
    say($("control-says"), "The market copies its ledger …");
    await save("/ledger", "ledger.db");
    return "The ledger is saved; energymarket verify checks it.";
  }
}
