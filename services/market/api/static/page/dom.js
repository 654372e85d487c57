// The little that is needed to make and change elements. Text is only ever set as text.

export const $ = (id) => document.getElementById(id);

const SVG = "http://www.w3.org/2000/svg";

/** Sets a text only when it differs: nothing is announced or laid out without need. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** An element with properties (a string is its class) and children; text where a child is a string. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  if (typeof properties === "string") element.className = properties;
  else
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** An SVG element with attributes and children. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A table with a caption for those who hear it; cells are text, or elements. */
export function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((text) => make("td", {}, text))));
  return make(
    "table",
    "numbers",
    make("caption", "visually-hidden", caption),
    make("thead", {}, head),
    make("tbody", {}, ...body),
  );
}

/** A group of buttons of which one is pressed; `choose` is called with its value. */
export function choice(root, options, chosen, choose) {
  const buttons = options.map(({ value, text, title }) => {
    const button = make("button", { type: "button", title: title ?? "" }, text);
    button.addEventListener("click", () => choose(value));
    root.append(button);
    return { value, button };
  });
  const press = (value) => {
    for (const each of buttons)
      each.button.setAttribute("aria-pressed", String(each.value === value));
  };
  press(chosen);
  return press;
}
