"""Benchmark ``page``: what the page costs whoever opens it, beside an empty page.

A real browser without a window loads both from the same server, in turn, each time with an empty
cache, while a market of ``homes`` homes stands still behind it. Then the market settles ``ticks``
ticks at full speed in front of the open page, and the memory of its scripts is measured again:
what it remembers is bounded, so the two should not be far apart.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from fastapi.responses import HTMLResponse

from bench.report import BenchFailed, Comparison, Result, Row
from energymarket import telemetry
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.api import ApiServer, create_app
from services.market.tick_cycle import Tempo

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

OURS, FLOOR = "the page", "empty page"
_EMPTY: Final = "<!doctype html><html lang=en><title>empty</title><p>empty</p></html>"
_MIB, _KIB = 1024 * 1024, 1024
_TIMEOUT_MS: Final = 300_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    homes: int = 20
    ticks_before: int = 200
    ticks: int = 10_000
    loads: int = 7


@dataclass(frozen=True, slots=True)
class _Load:
    """One load with an empty cache."""

    paint_ms: float
    requests: float
    kib: float
    heap_mib: float


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed`` where there is no browser, or no package to drive it."""
    plan = plan or Plan()
    try:
        from tests.browser.visitor import browsing  # noqa: PLC0415  # a tool of the tests
    except ImportError as error:
        raise BenchFailed(f"{error.name} is missing: make check installs it") from error
    with _market(plan) as (world, url), browsing() as browser:
        loads: dict[str, list[_Load]] = {OURS: [], FLOOR: []}
        for _ in range(plan.loads):
            for name, path in ((OURS, "/"), (FLOOR, "/empty")):
                with _opened(browser, url + path) as page:
                    loads[name].append(_measured(page))
        with _opened(browser, f"{url}/") as page:
            heap_mib = _heap_after(page, world, plan)
        version = browser.version
    return Result([_comparison(plan, loads, heap_mib)], {"browser": version})


class _World:
    """An embedded run that goes on only when it is told to."""

    def __init__(self, plan: Plan) -> None:
        log = telemetry.configure("bench", level="error", form="text", stream=sys.stderr)
        tempo = Tempo(tick_s=0, deadline_s=0, start_homes=plan.homes)
        self.run = EmbeddedRun(WorldPlan(homes=plan.homes, tempo=tempo), log=log)
        self.app = create_app(self.run.market, token="bench")
        self.app.get("/empty")(lambda: HTMLResponse(_EMPTY))
        self.server = ApiServer(self.app, host="127.0.0.1", port=0, log=log)

    def settle(self, tick: int) -> None:
        """Turns until ``tick`` is settled."""
        while self.run.market.books.tick < tick:
            self.run.rest_until(self.run.step())


@contextmanager
def _market(plan: Plan) -> Iterator[tuple[_World, str]]:
    world = _World(plan)
    world.run.start()
    world.settle(plan.ticks_before)
    world.server.start()
    try:
        yield world, world.server.url
    finally:
        world.server.stop()
        world.run.stop()


@contextmanager
def _opened(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.set_default_timeout(_TIMEOUT_MS)
    page.goto(url)
    yield page
    context.close()


def _measured(page: Page) -> _Load:
    painted = "() => performance.getEntriesByName('first-contentful-paint').length"
    page.wait_for_function(painted)
    page.wait_for_timeout(1_000)  # the first reads of the API belong to it
    found = page.evaluate(
        """() => {
          const loaded = ["navigation", "resource"].flatMap((t) => performance.getEntriesByType(t));
          return {
            paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
            bytes: loaded.reduce((sum, each) => sum + each.transferSize, 0),
            requests: loaded.length,
          };
        }"""
    )
    return _Load(found["paint"], found["requests"], found["bytes"] / _KIB, _heap_mib(page))


def _heap_mib(page: Page) -> float:
    """What scripts hold, after all that nobody holds was let go of."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    used: float = session.send("Runtime.getHeapUsage")["usedSize"]
    return used / _MIB


def _heap_after(page: Page, world: _World, plan: Plan) -> float:
    """The same once the open page has heard of ``plan.ticks`` more ticks."""
    last = plan.ticks_before + plan.ticks
    shown = "(tick) => document.getElementById('tick').textContent.replace(/\\D/g, '') >= tick"
    page.wait_for_function(shown, arg=plan.ticks_before)
    turning = threading.Thread(target=world.settle, args=[last], name="market")
    turning.start()
    page.wait_for_function(shown, arg=last)
    turning.join()
    return _heap_mib(page)


def _comparison(plan: Plan, loads: dict[str, list[_Load]], heap_mib: float) -> Comparison:
    def row(name: str, unit: str, field: str) -> Row:
        found = {
            kind: median(getattr(load, field) for load in made) for kind, made in loads.items()
        }
        return Row(name, unit, found)

    return Comparison(
        title=f"The page of {plan.homes} homes in a laptop's window, median of {plan.loads} loads",
        columns=(OURS, FLOOR),
        rows=[
            row("first contentful paint", "ms", "paint_ms"),
            row("requests", "", "requests"),
            row("transferred", "KiB", "kib"),
            row("JS heap when loaded", "MiB", "heap_mib"),
            Row(f"JS heap after {plan.ticks:,} ticks", "MiB", {OURS: heap_mib}),
        ],
        floor=FLOOR,
        notes=(
            f"{FLOOR}: one line of HTML from the same server; cache empty each time, loopback",
            "heap: after a garbage collection",
        ),
    )
