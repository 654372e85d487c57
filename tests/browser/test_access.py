"""Everybody can use the page: with a keyboard, with a screen reader, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.embedded import TOKEN, embedded_run
from tests.browser.visitor import LAPTOP, PHONE, Scheme, Visit, visit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Twenty homes and some history, with events."""
    with embedded_run(tmp_path_factory.mktemp("run"), "--pace", 0.05, until_tick=60) as url:
        yield url


def opened(seen: Visit) -> None:
    """Everything that can be opened is, and everything that is read has come."""
    seen.until_tick(60)
    seen.unlock(TOKEN)
    expect(seen.at("#controls")).to_be_visible()
    for table in ("#ticks-table", "#flows-table"):
        seen.at(f"{table} summary").click()
    seen.at("#homes-title").scroll_into_view_if_needed()
    expect(seen.at(".grid-body .grid-row").first).to_be_visible()
    expect(seen.at("#audit-word")).to_have_text("Everything adds up")


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, run: str, scheme: Scheme, viewport: ViewportSize
) -> None:
    """R22: contrast, names, roles, in both colour schemes, with everything open."""
    with visit(browser, run, scheme=scheme, viewport=viewport) as seen:
        assert seen.hard_to_reach() == []
        opened(seen)
        assert seen.hard_to_reach() == []
        seen.at(".grid-body .grid-row").first.click()
        expect(seen.at("dialog tbody tr").first).to_be_visible()
        assert seen.hard_to_reach() == []


def test_every_control_is_reached_by_tab_in_the_order_of_the_page(
    browser: Browser, run: str
) -> None:
    """R22: and none holds the focus fast."""
    with visit(browser, run) as seen:
        opened(seen)
        seen.at(".skip").focus()
        reached: list[str] = []
        for _ in range(80):
            name = seen.page.evaluate(
                "() => document.activeElement.id || document.activeElement.textContent.trim()"
            )
            if reached and name == reached[0]:
                break
            reached.append(name)
            seen.page.keyboard.press("Tab")
        wanted = [
            *("Skip to the market", "API", "48 ticks", "720 ticks", "price-chart"),
            *("Table of these ticks", "The newest 10,000 prices as CSV", "pause", "lock", "full"),
            *("event-name", "event-ttl", "Start", "ledger", "Table of these gifts"),
            *("homes-search", "home", "Home 1", "OpenAPI"),
        ]
        places = [reached.index(name) for name in wanted]
        assert places == sorted(places)


def test_the_focus_is_always_visible(browser: Browser, run: str) -> None:
    """R22: whoever uses the keyboard sees where it is."""
    with visit(browser, run) as seen:
        opened(seen)
        seen.at(".skip").focus()
        for _ in range(25):
            seen.page.keyboard.press("Tab")
            style = seen.page.evaluate(
                "() => { const s = getComputedStyle(document.activeElement);"
                " return [document.activeElement.tagName, s.outlineStyle, s.outlineWidth]; }"
            )
            assert style[0] == "BODY" or style[1:] == ["solid", "2px"], style


def test_nothing_moves_for_those_who_asked_for_that(browser: Browser, run: str) -> None:
    """R22: no animation and no transition where less motion is wanted."""
    moving = (
        "() => document.getAnimations().length + [...document.querySelectorAll('*')]"
        ".filter((each) => getComputedStyle(each).transitionDuration !== '0s').length"
    )
    with visit(browser, run) as seen:
        seen.state("LIVE")
        assert seen.page.evaluate(moving) > 0
    with visit(browser, run, reduced_motion=True) as seen:
        seen.state("LIVE")
        seen.until_tick(61)
        assert seen.page.evaluate(moving) == 0


def test_the_colours_follow_the_system_while_the_page_is_open(browser: Browser, run: str) -> None:
    """R22."""
    with visit(browser, run, scheme="light") as seen:
        seen.until_tick(60)
        colour = "() => getComputedStyle(document.body).backgroundColor"
        light = seen.page.evaluate(colour)
        seen.page.emulate_media(color_scheme="dark")
        assert seen.page.evaluate(colour) != light


def test_a_page_with_all_of_it_opened_asks_nobody_but_the_market(
    browser: Browser, run: str
) -> None:
    """R25: no request leaves the market, whatever is opened."""
    with visit(browser, run) as seen:
        opened(seen)
        seen.at(".grid-body .grid-row").first.click()
        expect(seen.at("dialog tbody tr").first).to_be_visible()
        assert seen.hosts == {run.split("/")[2]}
        assert seen.complaints == []
