// Reads that go with the ticks, or with the time: never faster than stated, and never while nobody looks.

const LONGEST_SHARE = 15; // waits at least so many times as long as an answer takes
const LOOK_MS = 250; // between two looks at whether there is something to ask

/**
 * Asks `read` and gives the answer to `show`, then waits `everyMs(answer)` and asks again, once
 * another tick has come.
 * `tick()`: the newest tick, 0 while there is nothing to ask; `still`: asked too while no tick comes;
 * `wanted()`: whether anybody looks; `failed(error)`: there was no answer, and it is asked again.
 */
export function follow({ tick, still = false, wanted = () => true, read, show, failed, everyMs }) {
  let asked = -1;
  const turn = async () => {
    const now = tick();
    let waitMs = LOOK_MS;
    if (now > 0 && (still || now !== asked) && !document.hidden && wanted()) {
      const began = performance.now();
      try {
        const answer = await read();
        asked = now;
        waitMs = Math.max(everyMs(answer), LONGEST_SHARE * (performance.now() - began));
        show(answer);
      } catch (error) {
        asked = -1; // the status at the top says what is wrong
        waitMs = everyMs(null);
        failed?.(error);
      }
    }
    setTimeout(turn, waitMs);
  };
  turn();
}
