"""The table of homes, with one of many thousands, and the history of one of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.embedded import embedded_run, set_clock
from tests.browser.visitor import Visit, as_number, visit

HOMES = 10_000
MOST_ROWS = 60
"""A screen of rows and some more."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Ten thousand homes; a tick a second, as far as the machine can."""
    folder = tmp_path_factory.mktemp("run")
    with embedded_run(folder, "--pace", 1, "--homes", HOMES, until_tick=3) as url:
        set_clock(url, state="paused")
        yield url


@pytest.fixture
def seen(browser: Browser, run: str) -> Iterator[Visit]:
    """The page, scrolled to the table, with all homes in it."""
    with visit(browser, run) as made:
        made.until_tick(3)
        made.at("#homes-title").scroll_into_view_if_needed()
        made.says("#homes-count", f"{HOMES:,}")
        yield made
        assert made.complaints == []


def rows_made(seen: Visit) -> list[int]:
    """The places in the table of the rows that exist, as assistive programs are told them."""
    return sorted(
        int(row.get_attribute("aria-rowindex") or 0)
        for row in seen.at(".grid-body .grid-row").all()
    )


def test_ten_thousand_homes_are_all_there_while_few_rows_exist(seen: Visit) -> None:
    """R2: whoever listens instead of looking is told how many, and which ones these are."""
    expect(seen.at("#homes")).to_have_attribute("aria-rowcount", str(HOMES + 1))
    for scrolled, first in ((0, 2), (HOMES // 2, HOMES // 2), (HOMES, HOMES - MOST_ROWS)):
        seen.page.evaluate(
            "(row) => { document.querySelector('.grid-scroll').scrollTop = row * 38; }", scrolled
        )
        seen.until(
            "(first) => [...document.querySelectorAll('.grid-body .grid-row')]"
            ".some((row) => Number(row.getAttribute('aria-rowindex')) >= first)",
            argument=first,
        )
        made = rows_made(seen)
        assert len(made) <= MOST_ROWS
        assert made == list(range(made[0], made[-1] + 1))
    assert made[-1] == HOMES + 1


def test_scrolling_through_all_homes_lets_no_row_that_is_in_sight_be_empty(seen: Visit) -> None:
    """R22: the row at the top of the view is always the one that belongs there."""
    misplaced = seen.page.evaluate(
        """async () => {
          const scroll = document.querySelector(".grid-scroll");
          const frame = () => new Promise(requestAnimationFrame);
          const wrong = [];
          for (let row = 0; row < 9900; row += 330) {
            scroll.scrollIntoView({ block: "center" });
            scroll.scrollTop = row * 38;
            await frame();
            await frame();
            const { left, top } = scroll.getBoundingClientRect();
            const there = document.elementFromPoint(left + 200, Math.max(top, 0) + 19);
            const index = there?.closest(".grid-row")?.getAttribute("aria-rowindex");
            if (Number(index) !== row + 2) wrong.push(row);
          }
          return wrong;
        }"""
    )
    assert misplaced == []


def test_the_keyboard_goes_through_the_rows_and_opens_one(seen: Visit) -> None:
    """R22: Tab comes to one row; arrows go on from there."""
    seen.at(".grid-body .grid-row button[tabindex='0']").focus()
    for key, row in (("ArrowDown", 3), ("End", HOMES + 1), ("ArrowUp", HOMES), ("Home", 2)):
        seen.page.keyboard.press(key)
        seen.until(
            "(row) => document.activeElement.closest('.grid-row')?.getAttribute('aria-rowindex')"
            " === row",
            argument=str(row),
        )
    home = seen.page.evaluate("() => document.activeElement.textContent")
    seen.page.keyboard.press("Enter")
    expect(seen.at("dialog h2")).to_have_text(home)
    seen.page.keyboard.press("Escape")
    expect(seen.at("dialog")).to_be_hidden()


def test_homes_are_sorted_by_a_column_and_filtered_by_words(seen: Visit) -> None:
    """R22."""
    seen.at("[role=columnheader]").filter(has_text="bill").locator("button").click()
    expect(seen.at("[aria-sort=descending]")).to_contain_text("bill")
    bills = [
        as_number(text)
        for text in seen.at(".grid-body .grid-row > :last-child").all_inner_texts()[:20]
    ]
    assert bills == sorted(bills, reverse=True)
    seen.at("#homes-search").fill("give_only buy_only")
    expect(seen.at("#homes-count")).to_contain_text(f" of {HOMES:,}")
    rows = seen.at(".grid-body .grid-row").all_inner_texts()
    assert rows
    assert all("give only" in row and "buy only" in row for row in rows)
    seen.at("#homes-search").fill("4321")
    seen.says("#homes-count", f"1 of {HOMES:,}")
    seen.at("#homes-search").fill("nonsense")
    seen.says("#homes-empty", "No home passes this filter.")


def test_a_row_opens_the_history_of_its_home(seen: Visit) -> None:
    """R8: the receipts of the API, with whom it gave to."""
    seen.at("#homes-search").fill("77")
    seen.at(".grid-body .grid-row").click()
    expect(seen.at("dialog h2")).to_have_text("Home 77")
    receipts = seen.get("/homes/77/receipts")["receipts"]
    expect(seen.at("dialog tbody tr")).to_have_count(len(receipts))
    for receipt, row in zip(receipts, seen.at("dialog tbody tr").all(), strict=True):
        cells = row.locator("td").all_inner_texts()
        assert cells[0] == str(receipt["tick"])
        assert cells[1] == f"{receipt['produced_kwh']:.3f}"
        assert cells[9] == f"{receipt['stock_kwh']:.3f}"
    expect(seen.at("dialog canvas")).to_be_visible()


def test_an_answer_that_comes_late_does_not_show_another_home(seen: Visit) -> None:
    """R8: nor one that nobody wants any more."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    seen.page.route("**/homes/3", hold)
    seen.at("#homes-search").fill("3")
    seen.at(".grid-body .grid-row").click()
    expect(seen.at("dialog h2")).to_have_text("Home 3")
    seen.page.keyboard.press("Escape")
    seen.at("#homes-search").fill("7")
    seen.at(".grid-body .grid-row").click()
    expect(seen.at("dialog tbody tr").first).to_be_visible()
    with seen.page.expect_response("**/homes/3"):
        held[0].continue_()
    seen.page.wait_for_timeout(200)
    expect(seen.at("dialog h2")).to_have_text("Home 7")


def test_what_a_home_was_shown_with_is_let_go_when_it_is_closed(seen: Visit) -> None:
    """A page on which homes are looked at all day does not fill the memory."""
    session = seen.page.context.new_cdp_session(seen.page)
    session.send("Performance.enable")

    def listeners_after(times: int) -> int:
        for _ in range(times):
            seen.at(".grid-body .grid-row").first.click()
            expect(seen.at("dialog canvas")).to_be_visible()
            seen.page.keyboard.press("Escape")
        session.send("HeapProfiler.collectGarbage")
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(int(each["value"]) for each in metrics if each["name"] == "JSEventListeners")

    few = listeners_after(2)
    # Less than one for each time: some come and go with the stream and what is asked meanwhile.
    assert listeners_after(12) < few + 12
