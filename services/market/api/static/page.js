"use strict";

// Asks the market once a second and shows what it says. It keeps the prices it has, so that each
// round asks only for the ticks settled since.

const PRICES_SHOWN = 200;
const ROUND_MS = 1000;
const LONGEST_WAIT_MS = 10000;
const SVG = "http://www.w3.org/2000/svg";
const PLOT = { left: 64, right: 792, top: 12, bottom: 228 };

const $ = (id) => document.getElementById(id);
const say = (id, text, mood = "") => {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
  if (element.className !== mood) element.className = mood;
};

let points = []; // {tick, price}, oldest first
let runShown = null;
let failures = 0;

async function ask(path) {
  const answer = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.detail), { status: answer.status });
  return body;
}

function showPrice(now) {
  say("price", now.price_eur_per_kwh.toFixed(4));
  const change = now.change_eur_per_kwh;
  const mood = change > 0 ? "up" : change < 0 ? "down" : "";
  say("change", `${change > 0 ? "▲ +" : change < 0 ? "▼ −" : "± "}${Math.abs(change).toFixed(4)}`, mood);
  say("tick", String(now.tick));
  say("temperature", `${now.temperature_c.toFixed(1)} °C`);
  say("homes", String(now.homes));
  document.title = `${now.price_eur_per_kwh.toFixed(4)} EUR/kWh, tick ${now.tick}`;
}

function showAudit(audit) {
  say("audit", audit.ok ? `ok, ${audit.ticks_checked} ticks` : "BROKEN", audit.ok ? "good" : "bad");
}

function showEvents(events) {
  const rows = events.alive.map((event) => [
    event.name.replaceAll("_", " "),
    (event.coefficient_eur_per_kwh > 0 ? "+" : "") + event.coefficient_eur_per_kwh.toFixed(4),
    String(event.remaining_ticks),
    event.source,
  ]);
  const table = rows.length ? rows : [["none", "", "", ""]];
  $("events").replaceChildren(
    ...table.map((cells) => {
      const row = document.createElement("tr");
      for (const text of cells) row.appendChild(document.createElement("td")).textContent = text;
      return row;
    }),
  );
}

async function readHistory() {
  const known = points.length ? points[points.length - 1].tick : 0;
  let page = await ask(
    known ? `/prices?from_tick=${known}&limit=${PRICES_SHOWN}` : `/prices?limit=${PRICES_SHOWN}`,
  );
  // Too far behind to catch up page by page (a sleeping tab, a fast market): begin anew.
  if (page.next_cursor) {
    points = [];
    page = await ask(`/prices?limit=${PRICES_SHOWN}`);
  }
  const last = points.length ? points[points.length - 1].tick : 0;
  for (const row of page.prices) {
    if (row.tick > last) points.push({ tick: row.tick, price: row.price_eur_per_kwh });
  }
  points = points.slice(-PRICES_SHOWN);
}

function showHistory() {
  if (!points.length) return;
  const prices = points.map((point) => point.price);
  let low = Math.min(...prices);
  let high = Math.max(...prices);
  const room = (high - low || Math.abs(high) || 1) * 0.08;
  [low, high] = [low - room, high + room];
  const x = (index) =>
    PLOT.left + ((PLOT.right - PLOT.left) * index) / Math.max(points.length - 1, 1);
  const y = (price) => PLOT.bottom - ((PLOT.bottom - PLOT.top) * (price - low)) / (high - low);
  $("line").setAttribute("points", prices.map((p, i) => `${x(i).toFixed(1)},${y(p).toFixed(1)}`).join(" "));
  $("dot").setAttribute("cx", x(points.length - 1).toFixed(1));
  $("dot").setAttribute("cy", y(prices[prices.length - 1]).toFixed(1));
  $("grid").replaceChildren(...[0, 1, 2, 3, 4].flatMap((step) => gridLine(low + ((high - low) * step) / 4, y)));
  const [first, last] = [points[0].tick, points[points.length - 1].tick];
  say("span", `EUR/kWh, ticks ${first} to ${last}`);
}

function gridLine(price, y) {
  const line = document.createElementNS(SVG, "line");
  const label = document.createElementNS(SVG, "text");
  const place = { x1: PLOT.left, x2: PLOT.right, y1: y(price), y2: y(price) };
  for (const [name, value] of Object.entries(place)) line.setAttribute(name, value);
  label.setAttribute("x", PLOT.left - 8);
  label.setAttribute("y", y(price) + 4);
  label.textContent = price.toFixed(3);
  return [line, label];
}

async function round() {
  const about = await ask("/run");
  if (runShown !== null && runShown !== about.run) points = []; // another ledger lives here now
  runShown = about.run;
  say("run", `run ${about.run}, seed ${about.seed}, ${about.price_model} price`);
  showAudit(await ask("/audit"));
  showPrice(await ask("/price"));
  showEvents(await ask("/events?limit=1"));
  await readHistory();
  showHistory();
  say("state", about.finished ? "the run is over" : "live");
}

async function forever() {
  for (;;) {
    const began = performance.now();
    try {
      await round();
      failures = 0;
    } catch (error) {
      failures = error.status ? 0 : failures + 1; // one that says why is there
      say("state", error.status ? error.message : "the market does not answer; trying again", "wrong");
    }
    const wait = Math.min(ROUND_MS * 2 ** Math.max(failures - 1, 0), LONGEST_WAIT_MS);
    await new Promise((done) => setTimeout(done, Math.max(wait - (performance.now() - began), 100)));
  }
}

forever();
