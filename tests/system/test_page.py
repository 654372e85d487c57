"""The page tells the truth while the real system behind it is in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.visitor import Visit, browsing, visit
from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.system.processes import System, system

HOMES = 3
SETTINGS = {"tick_seconds": 0.2, "tick_deadline_seconds": 0, "start_homes": HOMES}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser without a window."""
    with browsing() as opened:
        yield opened


@pytest.fixture
def running(
    rabbit_server: RabbitServer, redis_server: RedisServer, tmp_path: Path
) -> Iterator[System]:
    """A market with three homes, five ticks a second."""
    with system(rabbit_server, redis_server, tmp_path) as started:
        started.start("market", **SETTINGS)
        started.start("weather")
        started.start("external")
        for number in range(HOMES):
            started.start("home", instance_id=f"home-{number}")
        started.wait_for_tick(5)
        yield started


def ticks_of_the_table(seen: Visit) -> list[int]:
    """The ticks that the page remembers, newest first."""
    cells = seen.at("#ticks-table tbody td:first-child").all_inner_texts()
    return [int(text.replace(",", "")) for text in cells]


def test_while_the_broker_is_gone_the_page_is_stale_and_says_why_and_then_live(
    browser: Browser, running: System
) -> None:
    """R22, R25: the API answers all the time, and that is not taken for life."""
    with visit(browser, f"{running.url}/") as seen:
        seen.state("LIVE")
        running.rabbit.stop()
        try:
            seen.state("STALE")
            expect(seen.at("#status-age")).to_contain_text("s")
            expect(seen.at("#status-why")).to_contain_text("broker")
            assert running.get("/livez").status_code == 200
            stood = running.tick()
            seen.says("#tick", str(running.get("/price").json()["tick"]))
        finally:
            running.rabbit.start()
        seen.state("LIVE")
        seen.until_tick(stood + 5)


def test_a_market_that_is_killed_and_started_again_leaves_no_gap_in_the_page(
    browser: Browser, running: System
) -> None:
    """R22, R25: RECONNECTING while nobody answers, and every tick is there afterwards."""
    with visit(browser, f"{running.url}/") as seen:
        seen.state("LIVE")
        seen.until_tick(8)
        running.processes[0].kill()
        seen.state("RECONNECTING")
        before = seen.tick()
        running.start("market", **SETTINGS)
        seen.state("LIVE")
        seen.until_tick(before + 5)
        seen.at("#ticks-table summary").click()
        seen.until("() => document.querySelectorAll('#ticks-table tbody tr').length > 0")
        shown = ticks_of_the_table(seen)
        assert shown == list(range(shown[0], 0, -1))
