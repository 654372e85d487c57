// Loads the page again where a part of it did not come: a network that changes under a browser, as
// when containers start, fails single files. A module that failed once stays failed until the page is
// loaded anew. This file is a plain script, so that no module can keep it from running.

"use strict";

{
  const FIRST_WAIT_MS = 1000;
  const LONGEST_WAIT_MS = 30_000;
  const tries = history.state?.tries ?? 0; // survives a reload, and goes with the tab

  const wait = async () => {
    for (const { href, sheet } of document.querySelectorAll('link[rel="stylesheet"]'))
      // One that did not come has no rules, or does not let them be seen.
      if (!sheet.cssRules.length) throw new Error(`${href} did not come`);
    await import("/static/page/main.js"); // the one that the page runs: a module is run once
    history.replaceState(null, "");
  };

  const again = (error) => {
    console.warn(error);
    document.getElementById("status-why").textContent =
      "The page could not be loaded; trying again. The price is at /price.";
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** Math.min(tries, 10), LONGEST_WAIT_MS);
    setTimeout(() => {
      history.replaceState({ tries: tries + 1 }, "");
      location.reload();
    }, waitMs);
  };

  wait().catch(again);
}
