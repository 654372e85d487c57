// Calls of the API. An error of the API is a sentence, and that sentence is what is thrown.

const TIMEOUT_MS = 15_000;
const MADE_MS = 600_000; // for the beginning of a file that has to be made first
const TOKEN = "energymarket-token";

/** What the market answered, or that it did not (`status` 0). */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** The token of writes: of this tab alone, and gone with it. */
export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  set: (text) => sessionStorage.setItem(TOKEN, text),
  forget: () => sessionStorage.removeItem(TOKEN),
};

async function answer(path, options, signal = AbortSignal.timeout(TIMEOUT_MS)) {
  let reply;
  try {
    reply = await fetch(path, { ...options, signal });
  } catch (error) {
    throw new Refused("The market does not answer.", 0);
  }
  if (reply.ok) return reply;
  const problem = await reply.json().catch(() => ({}));
  throw new Refused(problem.detail ?? `The market answered with ${reply.status}.`, reply.status);
}

/** The JSON of a read. */
export const ask = async (path) =>
  (await answer(path, { headers: { Accept: "application/json" } })).json();

/** The JSON of a write, with the token that is kept, or with one that is tried. */
export async function write(method, path, body, tried = token.get()) {
  const headers = { Authorization: `Bearer ${tried}`, "Content-Type": "application/json" };
  return (await answer(path, { method, headers, body: JSON.stringify(body) })).json();
}

/**
 * A file that only the token opens, saved under `name`. It may be large: it is waited for while it is
 * made, and for as long as it takes to come.
 */
export async function save(path, name) {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), MADE_MS);
  const headers = { Authorization: `Bearer ${token.get()}` };
  const reply = await answer(path, { headers }, patience.signal).finally(() => clearTimeout(timer));
  const whole = await reply.blob().catch(() => {
    throw new Refused("The file broke off; try again.", 0);
  });
  const address = URL.createObjectURL(whole);
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Whether the market is ready, and what it waits for; it says so with 503 as well as with 200. */
export async function readiness() {
  try {
    const reply = await fetch("/readyz", { signal: AbortSignal.timeout(TIMEOUT_MS) });
    return await reply.json();
  } catch (error) {
    return null;
  }
}
