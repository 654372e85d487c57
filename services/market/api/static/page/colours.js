// The colours of the style sheet, for what is drawn on a canvas; they follow the system's setting.

const NAMES = [
  "quiet",
  "grid",
  "card",
  "price",
  "price-fill",
  "warmth",
  "raise",
  "lower",
];
const dark = matchMedia("(prefers-color-scheme: dark)");

export const colours = {};

function read() {
  const style = getComputedStyle(document.documentElement);
  for (const name of NAMES) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

/** Calls `redraw` after each change of the setting. */
export function onScheme(redraw) {
  dark.addEventListener("change", () => {
    read();
    redraw();
  });
}

read();
