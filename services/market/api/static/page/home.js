// One home: what it is, its stock and bill over the last ticks, and its receipts.

/* global uPlot */
import { ask } from "./api.js";
import { FONT } from "./charts.js";
import { colours } from "./colours.js";
import { $, make, table } from "./dom.js";
import { NOTHING, number, signed, words } from "./format.js";

const RECEIPTS = 100;
const MOST_PAGES = 20; // in a large market a page is short

const FLOWS = ["given", "received", "sold", "bought", "spilled", "unserved"];
const HEADS = [
  "tick",
  "produced",
  "consumed",
  ...FLOWS,
  "stock",
  "charge EUR",
  "gave to",
  "received from",
];

async function receiptsOf(home) {
  const found = [];
  let cursor = "";
  for (let page = 0; page < MOST_PAGES && found.length < RECEIPTS; page += 1) {
    const answer = await ask(`/homes/${home}/receipts?limit=${RECEIPTS}${cursor}`);
    found.push(...answer.receipts);
    if (!answer.next_cursor) break;
    cursor = `&cursor=${encodeURIComponent(answer.next_cursor)}`;
  }
  return found.slice(0, RECEIPTS);
}

let opening = null; // what was opened last, while the dialog is open
let plot = null; // uPlot listens to the window until it is told to go

$("home").addEventListener("close", () => {
  opening = null;
  clear();
});

function clear() {
  plot?.destroy();
  plot = null;
  $("home").replaceChildren();
}

/** Opens the history of a home over the page. */
export async function openHome(id) {
  const dialog = $("home");
  const mine = (opening = {});
  show(head(id), make("p", "quiet", "Reading its receipts …"));
  if (!dialog.open) dialog.showModal();
  try {
    const [home, receipts] = await Promise.all([ask(`/homes/${id}`), receiptsOf(id)]);
    if (opening !== mine) return; // closed meanwhile, or another one is open
    show(head(id), about(home), ...history(receipts));
    const place = dialog.querySelector(".chart");
    if (place) plot = drawStock(place, receipts);
  } catch (error) {
    if (opening === mine) show(head(id), make("p", "says wrong", error.message));
  }
}

function show(...parts) {
  const focused = $("home").contains(document.activeElement);
  clear();
  $("home").append(...parts);
  if (focused) $("home").querySelector("button").focus();
}

function head(id) {
  const close = make("button", { type: "button", className: "plain", autofocus: true }, "Close");
  close.addEventListener("click", () => $("home").close());
  return make("div", "card-head", make("h2", { id: "home-title" }, `Home ${id}`), close);
}

function about(home) {
  const stock = home.capacity_kwh
    ? `${number(home.stock_kwh, 2)} of ${number(home.capacity_kwh, 1)} kWh`
    : `${number(home.stock_kwh, 2)} kWh`;
  const facts = [
    ["status", home.status],
    ["with a surplus", words(home.surplus_policy ?? NOTHING)],
    ["with a need", words(home.need_policy ?? NOTHING)],
    ["stock", stock],
    ["bill", `${signed(home.bill_eur, 2)} EUR`],
  ];
  return make(
    "dl",
    "facts small",
    ...facts.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))),
  );
}

function history(receipts) {
  if (!receipts.length) return [make("p", "empty quiet", "It has no receipt yet.")];
  const label = `Stock of the last ${number(receipts.length)} ticks; the numbers are in the table below`;
  const rows = receipts.map((receipt) => [
    number(receipt.tick),
    ...["produced", "consumed", ...FLOWS, "stock"].map((name) => number(receipt[`${name}_kwh`], 3)),
    signed(receipt.charge_eur, 4),
    partners(receipt.gave_to),
    partners(receipt.received_from),
  ]);
  return [
    make("h3", {}, "Stock ", make("span", "unit", "kWh")),
    make("div", { className: "chart", role: "img", "aria-label": label }),
    make("h3", {}, "Receipts ", make("span", "unit", "kWh")),
    make(
      "div",
      { className: "scroll", tabIndex: 0, role: "region", "aria-label": "Receipts" },
      table(`The newest ${rows.length} receipts`, HEADS, rows),
    ),
  ];
}

const partners = (list) =>
  list.map(({ home, kwh }) => `${home} (${number(kwh, 2)})`).join(", ") || NOTHING;

function drawStock(place, receipts) {
  const shown = [...receipts].reverse();
  const axis = {
    stroke: colours.quiet,
    grid: { stroke: colours.grid, width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  const options = {
    width: place.clientWidth || 600,
    height: 130,
    padding: [8, 8, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, (high || 1) * 1.1] } },
    axes: [
      { ...axis, size: 26, incrs: [1, 2, 5, 10, 20, 50] },
      { ...axis, size: 44 },
    ],
    series: [
      {},
      { stroke: colours.price, fill: colours["price-fill"], width: 2, points: { show: false } },
    ],
  };
  return new uPlot(
    options,
    [shown.map((receipt) => receipt.tick), shown.map((receipt) => receipt.stock_kwh)],
    place,
  );
}
