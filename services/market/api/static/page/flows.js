// Who gives to whom, as ribbons from givers to takers, and where all the energy went.

import { $, draw, make, say, table } from "./dom.js";
import { number } from "./format.js";

const LEAST_WIDE = 280;
const TOP = 8;
const GAP = 7;
const LEAST_PX = 12; // of a home: room for its name
const INK_PX = 250; // of all ribbons together
const NODE = 8;
const LABEL = 78;

/** Draws the strongest links; `open` is called with a home whose name is chosen. */
export function showFlows(flows, open) {
  const { links, split } = flows;
  const span = `ticks ${number(flows.from_tick)} to ${number(flows.to_tick - 1)}`;
  say($("flows-span"), links.length ? `the strongest ${links.length}, ${span}` : span);
  say($("split-span"), span);
  const root = $("flows");
  root.replaceChildren(links.length ? ribbons(links, root.clientWidth, open) : nobody());
  showTable(`Gifts of ${span}`, links, open);
  showSplit(split);
}

let buttons = new Map(); // of the homes in the table, by link and side

/** The same as a table, whose homes are buttons: each stays the same one, with the focus that it has. */
function showTable(caption, links, open) {
  const kept = new Map();
  const button = (link, side) => {
    const key = `${link.giver} ${link.taker} ${side}`;
    kept.set(key, buttons.get(key) ?? opener(link[side], open));
    return kept.get(key);
  };
  const rows = links.map((link) => [
    button(link, "giver"),
    button(link, "taker"),
    number(link.kwh, 3),
    number(link.ticks),
  ]);
  buttons = kept;
  const focused = document.activeElement;
  const heads = ["giver", "taker", "kWh", "ticks with a gift"];
  $("flows-table").querySelector(".scroll").replaceChildren(table(caption, heads, rows));
  if (focused !== document.activeElement) focused.focus({ preventScroll: true });
}

function opener(home, open) {
  const button = make("button", { type: "button" }, `home ${home}`);
  button.addEventListener("click", () => open(home));
  return button;
}

const nobody = () => make("p", "empty quiet", "Nobody has given to anybody in these ticks.");

/** The places of one side, by home: { top, height, used }. */
export function column(links, side) {
  const sums = new Map();
  for (const link of links) sums.set(link[side], (sums.get(link[side]) ?? 0) + link.wh);
  const all = [...sums.values()].reduce((sum, wh) => sum + wh, 0) || 1;
  const places = new Map();
  let top = TOP;
  for (const [home, wh] of [...sums].sort((one, other) => other[1] - one[1])) {
    const height = (INK_PX * wh) / all;
    const pad = Math.max(0, LEAST_PX - height) / 2;
    places.set(home, { top: top + pad, height, used: 0 });
    top += Math.max(height, LEAST_PX) + GAP;
  }
  return { places, bottom: top };
}

/** As wide as its place is, so that names are as large as other text. */
function ribbons(links, room, open) {
  const wide = Math.max(room, LEAST_WIDE);
  const givers = column(links, "giver");
  const takers = column(links, "taker");
  const all = links.reduce((sum, link) => sum + link.wh, 0) || 1;
  const height = Math.ceil(Math.max(givers.bottom, takers.bottom));
  const [left, right] = [LABEL + NODE, wide - LABEL - NODE];
  const shapes = links.map((link) => {
    const thick = (INK_PX * link.wh) / all;
    const [from, to] = [givers.places.get(link.giver), takers.places.get(link.taker)];
    const [y0, y1] = [from.top + from.used + thick / 2, to.top + to.used + thick / 2];
    from.used += thick;
    to.used += thick;
    const half = (left + right) / 2;
    const path = `M${left} ${y0.toFixed(1)}C${half} ${y0.toFixed(1)} ${half} ${y1.toFixed(1)} ${right} ${y1.toFixed(1)}`;
    const title = `home ${link.giver} gave home ${link.taker} ${number(link.kwh, 3)} kWh in ${number(link.ticks)} ticks`;
    return draw(
      "path",
      { d: path, class: "ribbon", "stroke-width": Math.max(1, thick).toFixed(1) },
      draw("title", {}, title),
    );
  });
  return draw(
    "svg",
    {
      viewBox: `0 0 ${wide} ${height}`,
      role: "img",
      "aria-label": "Strongest gifts between homes; the table below has the numbers",
    },
    ...shapes,
    ...names(givers.places, { x: LABEL, at: LABEL - 6, anchor: "end", open }),
    ...names(takers.places, { x: right, at: wide - LABEL + 6, anchor: "start", open }),
  );
}

function names(places, { x, at, anchor, open }) {
  return [...places].flatMap(([home, place]) => {
    const middle = place.top + place.height / 2;
    const height = Math.max(2, place.height).toFixed(1);
    const bar = draw("rect", {
      x,
      y: place.top.toFixed(1),
      width: NODE,
      height,
      rx: 2,
      class: "node",
    });
    const label = draw(
      "text",
      { x: at, y: middle.toFixed(1), dy: "0.35em", "text-anchor": anchor },
      `home ${home}`,
    );
    label.addEventListener("click", () => open(home));
    return [bar, label];
  });
}

// ------------------------------------------------------------------------------------------ split

const SIDES = [
  [
    "Surplus",
    [
      ["gift", "given_kwh", "given"],
      ["sale", "sold_kwh", "sold"],
      ["spilled", "spilled_kwh", "spilled"],
    ],
  ],
  [
    "Need",
    [
      ["gift", "given_kwh", "received as a gift"],
      ["purchase", "bought_kwh", "bought"],
      ["unserved", "unserved_kwh", "unserved"],
    ],
  ],
];

function showSplit(split) {
  $("split").replaceChildren(...SIDES.map(([title, parts]) => side(title, parts, split)));
}

function side(title, parts, split) {
  const all = parts.reduce((sum, [, name]) => sum + split[name], 0);
  const bar = make("div", { className: "stack", "aria-hidden": "true" });
  const rows = parts.map(([kind, name, text]) => {
    const share = all ? (100 * split[name]) / all : 0;
    const part = make("span", kind);
    part.style.width = `${share}%`;
    bar.append(part);
    return make(
      "tr",
      {},
      make(
        "th",
        { scope: "row" },
        make("i", { className: `key ${kind}`, "aria-hidden": "true" }),
        text,
      ),
      make("td", "figure", `${number(split[name], 2)} kWh`),
      make("td", "figure", `${number(share, 0)} %`),
    );
  });
  const heading = make("h3", {}, `${title} `, make("span", "unit", `${number(all, 2)} kWh`));
  return make(
    "div",
    "side-of",
    heading,
    bar,
    make("table", {}, make("caption", "visually-hidden", title), make("tbody", {}, ...rows)),
  );
}
