"""The word at the top, and what the page shows when there is little to show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Route, expect

from services.market.ledger import Retention
from tests.browser.visitor import MINUS, Visit, visit
from tests.live_api import LiveApi
from tests.world import STRICT, World

LAST_TICK = 40


@pytest.fixture
def api() -> Iterator[LiveApi]:
    """A market with one home that stands still until it is turned, and ends with ``LAST_TICK``."""
    live = LiveApi(World("sqlite://", homes=1, tempo=replace(STRICT, max_ticks=LAST_TICK)))
    yield live
    live.close()


@pytest.fixture
def seen(browser: Browser, api: LiveApi) -> Iterator[Visit]:
    """Its page."""
    with visit(browser, f"{api.server.url}/") as made:
        yield made


def test_before_the_first_tick_the_page_says_what_it_waits_for(seen: Visit, api: LiveApi) -> None:
    """R25: an empty page that says why is no broken one."""
    seen.state("WAITING")
    expect(seen.at("#status-why")).to_contain_text("wait")
    for empty in ("#price", "#tick", "#temperature", "#homes-online"):
        seen.says(empty, "\N{EN DASH}")
    expect(seen.at("#homes-empty")).to_have_text(
        "Every home has a row here once a tick is settled."
    )
    assert seen.complaints == []
    api.world.turn_until_tick(1)
    seen.until_tick(1)


def test_a_market_that_runs_but_settles_nothing_is_stale_and_says_for_how_long(
    seen: Visit, api: LiveApi
) -> None:
    """The API answers all the time: that is not enough to be live."""
    seen.state("WAITING")
    api.world.turn_until_tick(3)
    seen.until_tick(3)
    seen.state("STALE")
    expect(seen.at("#status-age")).to_contain_text(" s")
    with api.ticking(pause_s=0.02):
        seen.until_tick(4)
        seen.until("() => document.getElementById('status-word').textContent !== 'STALE'")


@pytest.mark.parametrize("file", ["page/format.js", "page/theme.css", "uplot/uPlot.iife.min.js"])
def test_a_page_of_which_a_file_does_not_come_says_so_and_loads_itself_again(
    seen: Visit, api: LiveApi, file: str
) -> None:
    """R25: as when the network changes under the browser, which happens while containers start."""
    lost: list[Route] = []

    def lose_the_first(route: Route) -> None:
        lost.append(route)
        route.abort() if len(lost) == 1 else route.continue_()

    seen.state("WAITING")
    api.world.turn_until_tick(1)
    seen.page.route(f"**/static/{file}", lose_the_first)
    with seen.page.expect_request(lambda each: each.url.endswith(file) and len(lost) == 1):
        seen.open()
        if file.endswith(".js"):  # without its colours the page goes on for that second
            expect(seen.at("#status-why")).to_contain_text("could not be loaded; trying again")
    seen.until_tick(1)
    assert seen.page.evaluate("() => history.state") is None


def test_a_run_that_is_over_says_so_and_shows_its_last_tick(seen: Visit, api: LiveApi) -> None:
    api.world.turn_until_tick(LAST_TICK)
    api.world.turn(3)
    seen.state("FINISHED")
    seen.until_tick(LAST_TICK)
    assert seen.tick() == LAST_TICK


def test_a_market_with_one_home_shows_it_and_that_nobody_gives(seen: Visit, api: LiveApi) -> None:
    """R2: the smallest world."""
    api.world.turn_until_tick(20)
    seen.until_tick(20)
    seen.at("#homes-title").scroll_into_view_if_needed()
    seen.says("#homes-count", "1")
    expect(seen.at(".grid-body .grid-row")).to_have_count(1)
    expect(seen.at("#flows .empty")).to_have_text("Nobody has given to anybody in these ticks.")
    assert seen.complaints == []


def test_what_came_late_or_was_refused_is_noted_though_no_tick_comes(
    seen: Visit, api: LiveApi
) -> None:
    """R13: the audit strip is as true of a market that stands as of one that goes on."""
    api.world.turn_until_tick(3)
    expect(seen.at("#audit")).to_have_attribute("data-state", "right")
    api.world.market.metrics.late.inc(2)
    api.world.market.metrics.refused.labels("malformed").inc(3)
    expect(seen.at("#audit")).to_have_attribute("data-state", "noted")
    expect(seen.at("#audit-facts")).to_contain_text("late2refused3")


def test_an_audit_that_is_not_answered_is_not_known(seen: Visit, api: LiveApi) -> None:
    """R13: green is what is, not what was."""
    api.world.turn_until_tick(3)
    expect(seen.at("#audit")).to_have_attribute("data-state", "right")
    seen.page.route("**/audit", lambda route: route.fulfill(status=503))
    expect(seen.at("#audit")).to_have_attribute("data-state", "unknown")
    seen.says("#audit-word", "The audit is not known now")
    assert seen.at("#audit .right").count() == 0
    seen.page.unroute("**/audit")
    expect(seen.at("#audit")).to_have_attribute("data-state", "right")
    api.server.stop()
    expect(seen.at("#audit")).to_have_attribute("data-state", "unknown")


def test_a_server_that_hangs_leaves_no_audit_that_seems_to_be_known(browser: Browser) -> None:
    """R13: as soon as the top says that nothing comes, whenever the question would be given up."""
    api = LiveApi(World("sqlite://", homes=1))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    try:
        with visit(browser, f"{api.server.url}/") as seen:
            seen.page.evaluate("() => { AbortSignal.timeout = () => new AbortController().signal }")
            audit = seen.at("#audit")
            with api.ticking(pause_s=0.02):
                seen.state("LIVE")
                expect(audit).to_have_attribute("data-state", "right")
                with seen.page.expect_request("**/audit"):
                    seen.page.route(re.compile("/(audit|run|clock)$"), hold)
                expect(audit).to_have_attribute("data-state", "right")
            seen.state("STALE")
            expect(audit).to_have_attribute("data-state", "unknown")
            for route in held:
                route.continue_()
            expect(audit).to_have_attribute("data-state", "right")
            seen.state("STALE")
    finally:
        api.close()


def test_what_the_top_shows_is_of_the_tick_that_is_open_and_hangs(
    browser: Browser, api: LiveApi
) -> None:
    """R15, R22: price, terms and temperature, though the stream has told of no such tick."""
    api.world.turn_until_tick(6)
    api.world.homes[0].stopped = True
    while api.world.market.view.opening.tick < 7:  # type: ignore[union-attr]
        api.world.turn()
    now = api.get("/price")
    with visit(browser, f"{api.server.url}/") as seen:
        seen.says("#tick", "7")
        seen.says("#price", f"{now['price_eur_per_kwh']:.4f}")
        seen.says("#temperature", f"{now['temperature_c']:.1f} °C".replace("-", MINUS))
        seen.says("#next", "")
        expect(seen.at("#waterfall")).to_have_attribute("data-tick", "7")


def test_homes_that_have_gone_are_not_online_though_no_tick_tells(
    seen: Visit, api: LiveApi
) -> None:
    """R2, R22: the top and the table say the same."""
    api.world.turn_until_tick(3)
    seen.says("#homes-online", "1")
    api.world.homes[0].service.stop()
    api.world.homes[0].stopped = True
    api.world.turn(3)
    assert api.get("/run")["homes"] == 0
    seen.says("#homes-online", "0")


def test_a_market_whose_server_goes_is_reconnecting_and_nothing_it_said_is_lost(
    seen: Visit, api: LiveApi
) -> None:
    api.world.turn_until_tick(5)
    seen.until_tick(api.get("/price")["tick"])
    price = seen.at("#price").inner_text()
    api.server.stop()
    seen.state("RECONNECTING")
    expect(seen.at("#status-why")).to_have_text("The market does not answer.")
    seen.says("#price", price)


def test_a_gap_that_the_ledger_has_forgotten_is_left_behind(browser: Browser) -> None:
    """R22, R25: the stream goes on far beyond what the page has; it begins anew, once."""
    api = LiveApi(World("sqlite://", homes=1, retention=Retention(ticks=20)))
    try:
        api.world.turn_until_tick(5)
        with visit(browser, f"{api.server.url}/") as seen:
            seen.until_tick(5)
            api.server.stop()
            seen.state("RECONNECTING")
            api.world.turn_until_tick(60)
            assert api.world.market.history.prices(6, 7, 1) == []
            streams: list[str] = []
            seen.page.on(
                "request", lambda each: streams.append(each.url) if "/stream" in each.url else None
            )
            api.serve_again()
            seen.until_tick(60)
            api.world.turn_until_tick(62)
            seen.until_tick(62)
            assert [url.partition("?")[2] for url in streams] == ["from_tick=6", "from_tick=61"]
    finally:
        api.close()
