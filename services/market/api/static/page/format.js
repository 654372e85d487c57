// Numbers and names as people read them. A minus sign is one, not a hyphen.

const formats = new Map();

function format(digits) {
  if (!formats.has(digits)) {
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    formats.set(digits, new Intl.NumberFormat("en", options));
  }
  return formats.get(digits);
}

export const NOTHING = "–";

/** A number with so many decimals; a dash for one that is not known. */
export function number(value, digits = 0) {
  if (value === null || value === undefined) return NOTHING;
  const text = format(digits).format(Math.abs(value));
  return value < 0 && /[1-9]/.test(text) ? `−${text}` : text;
}

/** The same with its sign, also when it is positive. */
export function signed(value, digits) {
  const text = number(value, digits);
  return value > 0 && /[1-9]/.test(text) ? `+${text}` : text;
}

/** An arrow for a change, so that its colour says nothing alone. */
export const arrow = (value) => (value > 0 ? "▲" : value < 0 ? "▼" : "■");

/** A rate or a time: as many decimals as its size deserves. */
export const brief = (value) =>
  value === null || value === undefined
    ? NOTHING
    : number(value, value >= 100 ? 0 : value >= 1 ? 1 : 2);

export const words = (name) => name.replaceAll("_", " ");

/** An event as one says it: its name, and what it does to the price in each tick. */
export const told = ({ name, coefficient }) => `${words(name)} ${signed(coefficient, 4)}`;

/** How one says the name of a price's term. */
export const term = (name) => (name.startsWith("event:") ? words(name.slice(6)) : words(name));

/** Seconds as "9 s", "4 min", "3 h". */
export function duration(seconds) {
  if (seconds < 120) return `${Math.floor(seconds)} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}
