"""The page in front of a run that goes on: what it shows, and what the token allows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.embedded import TOKEN, embedded_run, set_clock
from tests.browser.visitor import Visit, visit


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Twenty homes, five ticks a second, some ticks old."""
    folder = tmp_path_factory.mktemp("run")
    with embedded_run(folder, "--pace", 0.2, until_tick=5) as url:
        yield url


@pytest.fixture
def seen(browser: Browser, run: str) -> Iterator[Visit]:
    """The page of a run that goes on at its own pace; nothing may have been complained about."""
    set_clock(run, state="running", pace_s=0.2)
    with visit(browser, run) as made:
        yield made
        assert made.complaints == []
        assert made.hosts == {run.split("/")[2]}, "everything comes from the market itself"


def test_the_price_moves_by_itself_and_is_that_of_the_api(seen: Visit) -> None:
    """R15, R22: no reload, no click."""
    seen.state("LIVE")
    seen.until_tick(1)
    tick = seen.tick()
    price = seen.at("#price").inner_text()
    seen.until("(price) => document.getElementById('price').textContent !== price", argument=price)
    seen.until_tick(tick + 3)
    set_clock(seen.url, state="paused")
    seen.state("PAUSED")
    now = seen.get("/price")
    seen.says("#tick", f"{now['tick']:,}")
    seen.says("#price", f"{now['price_eur_per_kwh']:.4f}")
    seen.says("#homes-online", str(now["homes"]))
    expect(seen.at("#orders")).to_have_text(f"{seen.get('/clock')['orders_per_s']:.1f}")
    expect(seen.at("#p99")).to_contain_text("ms")


def test_no_tick_is_missing_from_what_the_page_remembers(seen: Visit) -> None:
    """R22: history and stream are joined without a gap and without a tick twice."""
    seen.until_tick(1)
    seen.until_tick(seen.tick() + 5)
    seen.at("#ticks-table summary").click()
    seen.until("() => document.querySelectorAll('#ticks-table tbody tr').length > 5")
    cells = seen.at("#ticks-table tbody td:first-child").all_inner_texts()
    ticks = [int(text.replace(",", "")) for text in cells]
    assert ticks == list(range(ticks[0], ticks[-1] - 1, -1))


def test_pause_pauses_step_steps_and_run_goes_on(seen: Visit) -> None:
    """Each is the market's own doing, not the page's."""
    expect(seen.at("#controls")).to_be_hidden()
    seen.unlock(TOKEN)
    seen.press(seen.at("#pause"))
    seen.state("PAUSED")
    seen.until("() => !document.getElementById('step').disabled")
    settled = seen.get("/run")["tick"]
    seen.until_tick(settled)
    seen.press(seen.at("#step"))
    seen.until_tick(settled + 1)
    assert seen.get("/run")["tick"] == settled + 1
    seen.state("PAUSED")
    expect(seen.at("#pause")).to_have_text("Run")
    seen.press(seen.at("#pause"))
    seen.state("LIVE")
    seen.until_tick(settled + 3)


def test_the_pace_is_set_by_a_button_which_then_is_pressed(seen: Visit) -> None:
    """From a quarter of the pace to full speed."""
    seen.unlock(TOKEN)
    slow = seen.at("#paces button").first
    seen.press(slow)
    expect(slow).to_have_attribute("aria-pressed", "true")
    assert seen.get("/clock")["pace_s"] == pytest.approx(0.8)
    full = seen.at("#paces button").last
    seen.press(full)
    expect(full).to_have_attribute("aria-pressed", "true")
    assert seen.get("/clock")["pace_s"] == 0
    seen.until_tick(seen.tick() + 200)
    seen.state("LIVE")


def test_an_event_that_a_person_starts_appears_as_a_band_and_in_the_list(seen: Visit) -> None:
    """R19."""
    seen.unlock(TOKEN)
    seen.at("#event-name").fill("general_strike")
    seen.at("#event-coefficient").fill("0.031")
    seen.at("#event-ttl").fill("500")
    seen.press(seen.at("#event-form button"))
    expect(seen.at("#control-says")).to_contain_text("general strike (+0.0310) begins in tick")
    band = seen.at(".band.raise").filter(has_text="general strike")
    expect(band).to_be_attached()
    assert band.bounding_box()
    expect(seen.at("#events li").filter(has_text="general strike")).to_contain_text("by hand")
    expect(seen.at("#waterfall tr").filter(has_text="general strike")).to_contain_text("+0.031000")


def test_an_error_of_the_api_is_shown_as_its_sentence(seen: Visit, run: str) -> None:
    """R25: whatever it says, in its words."""
    seen.unlock(TOKEN)
    seen.at("#event-name").fill("x" * 64)
    seen.at("#event-coefficient").fill("0.1")
    seen.at("#event-ttl").fill("99999999999")
    seen.press(seen.at("#event-form button"))
    body = {"name": "x" * 64, "coefficient_eur_per_kwh": 0.1, "ttl_ticks": 99999999999}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    refused = httpx.post(f"{run}events", json=body, headers=headers)
    assert refused.status_code == 422
    seen.says("#control-says", refused.json()["detail"])
    seen.complaints.clear()  # the browser tells of the 422 too


def test_a_wrong_token_opens_nothing_and_is_not_kept(seen: Visit) -> None:
    seen.type_token("wrong")
    expect(seen.at("#control-says")).to_contain_text("token")
    expect(seen.at("#controls")).to_be_hidden()
    assert seen.page.evaluate("() => sessionStorage.length") == 0
    seen.complaints.clear()  # the browser tells of the 401 too


@pytest.mark.parametrize("status", [422, 0])
def test_a_token_that_could_not_be_tried_is_not_kept(seen: Visit, status: int) -> None:
    """R25: whether the market refuses the trial or does not answer at all."""

    def fail(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
        elif status:
            route.fulfill(status=status, json={"detail": "no"})
        else:
            route.abort()

    seen.page.route("**/clock", fail)
    seen.type_token(TOKEN)
    expect(seen.at("#control-says")).to_have_text("no" if status else "The market does not answer.")
    assert seen.page.evaluate("() => sessionStorage.length") == 0
    seen.page.reload()
    expect(seen.at("#controls")).to_be_hidden()
    seen.complaints.clear()  # the browser tells of it too


def test_the_token_stays_in_its_tab_and_goes_when_it_is_locked(seen: Visit) -> None:
    seen.unlock(TOKEN)
    expect(seen.at("#controls")).to_be_visible()
    seen.page.reload()
    expect(seen.at("#controls")).to_be_visible()
    assert seen.page.evaluate("() => localStorage.length + document.cookie.length") == 0
    seen.press(seen.at("#lock"))
    expect(seen.at("#controls")).to_be_hidden()
    assert seen.page.evaluate("() => sessionStorage.length") == 0


def test_prices_and_ledger_can_be_saved(seen: Visit, tmp_path: Path) -> None:
    """The ledger needs the token; the prices do not."""
    seen.at("#ticks-table summary").click()
    with seen.page.expect_download() as prices:
        seen.at("#ticks-table a").click()
    assert prices.value.suggested_filename == "prices.csv"
    assert prices.value.path().read_text().startswith("tick,price_eur_per_kwh,")
    seen.unlock(TOKEN)
    # As with a ledger that takes minutes to come: times in which calls must be answered are short,
    # and so is the line.
    seen.page.evaluate(
        "() => { const real = AbortSignal.timeout.bind(AbortSignal);"
        " AbortSignal.timeout = (ms) => real(ms / 100); }"
    )
    line = {"offline": False, "latency": 0, "downloadThroughput": 200_000, "uploadThroughput": -1}
    seen.page.context.new_cdp_session(seen.page).send("Network.emulateNetworkConditions", line)
    with seen.page.expect_download() as ledger:
        seen.press(seen.at("#ledger"))
    assert ledger.value.suggested_filename == "ledger.db"
    assert ledger.value.path().read_bytes().startswith(b"SQLite format 3\0")
