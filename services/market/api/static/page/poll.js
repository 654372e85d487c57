// Reads that go with the ticks: asked again when a tick has come, never faster than stated.

const LONGEST_SHARE = 15; // waits at least so many times as long as an answer takes

/**
 * Asks `read` and gives the answer to `show`, once a tick has come, at most every `everyMs`.
 * `tick()`: the newest tick, 0 while there is nothing to ask; `wanted()`: whether anybody looks.
 */
export function follow({ tick, wanted = () => true, read, show, everyMs }) {
  let asked = -1;
  const turn = async () => {
    const now = tick();
    let took = 0;
    if (now > 0 && now !== asked && !document.hidden && wanted()) {
      const began = performance.now();
      try {
        const answer = await read();
        asked = now;
        show(answer);
      } catch (error) {
        asked = -1; // the status at the top says what is wrong; it is asked again
      }
      took = performance.now() - began;
    }
    setTimeout(turn, Math.max(everyMs, LONGEST_SHARE * took));
  };
  turn();
  return () => (asked = -1);
}
