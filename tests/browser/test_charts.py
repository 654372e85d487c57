"""The charts, what stands behind them, and why a price is what it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Route, ViewportSize, expect

from tests.browser.visitor import LAPTOP, MINUS, PHONE, Visit, as_number, visit
from tests.live_api import LiveApi
from tests.world import World

TICKS = 120


@pytest.fixture(scope="module")
def api() -> Iterator[LiveApi]:
    """A market that has settled some ticks, and stands still."""
    world = World("sqlite://", homes=12)
    world.turn_until_tick(TICKS)
    live = LiveApi(world)
    yield live
    live.close()


@pytest.fixture
def seen(browser: Browser, api: LiveApi) -> Iterator[Visit]:
    """Its page, with the newest tick shown."""
    with visit(browser, f"{api.server.url}/") as made:
        made.until_tick(TICKS)
        yield made
        assert made.complaints == []


def terms_shown(seen: Visit, tick: int) -> dict[str, Decimal]:
    """The waterfall of a tick, as numbers by name."""
    expect(seen.at("#waterfall")).to_have_attribute("data-tick", str(tick))
    rows = seen.at("#waterfall tr").all()
    found: dict[str, Decimal] = {}
    for row in rows:
        name, figure = row.locator("th").inner_text(), row.locator(".figure").inner_text()
        found[name] = found.get(name, Decimal(0)) + as_number(figure)
    return found


def test_the_terms_of_the_waterfall_add_up_to_the_price_exactly(seen: Visit) -> None:
    """R15, R16: to the last of six decimals, in the very tick that is pointed at."""
    seen.at("#price-chart").focus()
    for back in range(1, 30):
        seen.page.keyboard.press("ArrowLeft")
        tick = TICKS + 1 - back
        shown = terms_shown(seen, tick)
        price = shown.pop("price")
        assert sum(shown.values()) == price
        truth = seen.get(f"/prices/{tick}")
        assert price == Decimal(str(truth["price_eur_per_kwh"]))
        assert len(shown) == len({each["name"] for each in truth["terms"]})
        expect(seen.at("#why-sum")).to_have_text("The terms add up to the price exactly.")


def test_pointing_at_a_tick_shows_it_in_every_chart_and_in_the_waterfall(seen: Visit) -> None:
    """R22: one cursor for all three."""
    seen.until(
        "() => performance.getEntriesByType('resource').some(({name}) => name.endsWith('/weather'))"
    )
    seen.page.wait_for_timeout(300)  # the forecast is drawn: nothing moves any more
    box = seen.at(".band").first.bounding_box()  # what lies over the chart is not in the way
    assert box is not None
    seen.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(seen.at("#price-readout")).to_contain_text("tick")
    tick = int(seen.at("#price-readout").inner_text().split(":")[0].removeprefix("tick "))
    row = next(each for each in seen.get("/prices?limit=1000")["prices"] if each["tick"] == tick)
    seen.says("#price-readout", f"tick {tick}: {row['price_eur_per_kwh']:.4f}")
    seen.says("#trade-readout", f"▲ bought {row['bought_kwh']:.2f}  ▼ sold {row['sold_kwh']:.2f}")
    terms_shown(seen, tick)
    places = seen.page.evaluate(
        "() => [...document.querySelectorAll('.chart .u-cursor-x')]"
        ".map((line) => Math.round(line.getBoundingClientRect().left))"
    )
    assert len(places) == 3
    assert len(set(places)) == 1


def test_the_price_chart_is_moved_through_by_keys_and_says_where_it_is(seen: Visit) -> None:
    """R22: what a pointer can do, the keyboard can."""
    chart = seen.at("#price-chart")
    chart.focus()
    for key, tick in (("End", TICKS), ("ArrowLeft", TICKS - 1), ("PageUp", TICKS - 11)):
        seen.page.keyboard.press(key)
        expect(chart).to_have_attribute("aria-valuenow", str(tick))
        price = seen.get(f"/prices/{tick}")["price_eur_per_kwh"]
        said = re.compile(rf"tick {tick}, {price:.4f} EUR/kWh($|, )")
        expect(chart).to_have_attribute("aria-valuetext", said)
    seen.page.keyboard.press("Escape")
    expect(chart).to_have_attribute("aria-valuenow", str(TICKS))


def test_the_table_behind_the_charts_has_the_numbers_of_the_api(seen: Visit) -> None:
    """R22."""
    seen.at("#ticks-table summary").click()
    expect(seen.at("#ticks-table tbody tr")).to_have_count(TICKS)
    rows = {row["tick"]: row for row in seen.get("/prices?limit=1000")["prices"]}
    shown = seen.page.evaluate(
        "() => [...document.querySelectorAll('#ticks-table tbody tr')]"
        ".map((row) => [...row.children].map((cell) => cell.textContent))"
    )
    assert len(shown) == TICKS
    for tick, price, temperature, *energies, homes in shown:
        row = rows[int(tick)]
        assert price == f"{row['price_eur_per_kwh']:.6f}"
        assert temperature == f"{row['temperature_c']:.3f}".replace("-", MINUS)
        names = ("bought", "sold", "given", "spilled", "unserved")
        assert energies == [f"{row[f'{name}_kwh']:.3f}" for name in names]
        assert homes == str(row["homes"])


def test_events_lie_as_bands_over_the_ticks_of_their_life(seen: Visit, api: LiveApi) -> None:
    """R19: from the first to the last tick of each, and no band for one that is long past."""
    seen.at("#spans button").last.click()
    events = seen.get("/events?limit=1000")
    assert len(events["past"]) > 2
    titles = [label.get_attribute("title") or "" for label in seen.at(".band-label").all()]
    for event in events["past"]:
        last = event["start_tick"] + event["ttl_ticks"] - 1
        assert any(
            title.startswith(event["name"].replace("_", " "))
            and f"ticks {event['start_tick']} to {last}," in title
            for title in titles
        )


LONG = "strike_at_the_" + "x" * 50
"""A name as long as it may be, half of it in one piece."""


@pytest.mark.parametrize("how", ["mouse", "touch", "keyboard"])
def test_the_whole_name_of_an_event_can_be_read_however_little_room_its_label_has(
    browser: Browser, how: str
) -> None:
    """R19, R22: below the charts, for the ticks of its life; on a phone too, where it lives for
    less than the room of a letter."""
    api = LiveApi(World("sqlite://", homes=2))
    try:
        api.world.turn_until_tick(20)
        event = {"name": LONG, "coefficient_eur_per_kwh": 0.03, "ttl_ticks": 2}
        tick = api.start_event_in_stillness(event).json()["start_tick"]
        api.world.turn_until_tick(40)
        name = LONG.replace("_", " ")
        url = f"{api.server.url}/"
        with visit(browser, url, viewport=PHONE, touch=how == "touch") as seen:
            seen.until_tick(api.world.tick)
            label = seen.at(".band-label").filter(has_text=name)
            expect(label).to_have_attribute("title", re.compile(f"^{name} .*ticks {tick} to"))
            said = seen.at("#events-readout")
            expect(said).to_have_text("")
            label.scroll_into_view_if_needed()
            seen.page.wait_for_timeout(300)  # the forecast is drawn: nothing moves any more
            box = label.bounding_box()
            assert box is not None
            x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
            match how:
                case "mouse":
                    seen.page.mouse.move(x, y)
                case "touch":
                    seen.page.touchscreen.tap(x, y)
                case "keyboard":
                    seen.at("#price-chart").focus()
                    for _ in range(api.world.tick + 1 - tick):
                        seen.page.keyboard.press("ArrowLeft")
                    heard = re.compile(f"^tick {tick}, .*{name}")
                    expect(seen.at("#price-chart")).to_have_attribute("aria-valuetext", heard)
            expect(said).to_contain_text(f"▲ {name} +0.0300")
            assert said.evaluate_all(CUT) == []
            assert seen.page.evaluate("() => document.documentElement.scrollWidth") == 390
            assert seen.complaints == []
    finally:
        api.close()


def test_who_gives_to_whom_is_what_the_api_says(seen: Visit) -> None:
    """R9."""
    seen.at("#flows-title").scroll_into_view_if_needed()
    flows = seen.get("/flows?ticks=50&limit=12")
    expect(seen.at("#flows .ribbon")).to_have_count(len(flows["links"]))
    assert flows["links"]
    seen.at("#flows-table summary").click()
    for index, link in enumerate(flows["links"]):
        row = seen.at("#flows-table tbody tr").nth(index)
        expect(row).to_contain_text(f"home {link['giver']}home {link['taker']}{link['kwh']:.3f}")
    split = flows["split"]
    for name in ("given", "sold", "bought", "spilled", "unserved"):
        expect(seen.at("#split")).to_contain_text(f"{split[f'{name}_kwh']:,.2f} kWh")


def test_the_audit_strip_is_right_only_while_every_number_is_nought(seen: Visit) -> None:
    """R13: and says so with a word, not with a colour alone."""
    expect(seen.at("#audit")).to_have_attribute("data-state", "right")
    expect(seen.at("#audit-word")).to_have_text("Everything adds up")
    audit = seen.get("/audit")
    assert audit["ok"]
    expect(seen.at("#audit code")).to_have_attribute("title", audit["head_hash"])
    wrong = seen.page.evaluate(
        """async (audit) => {
          const { showAudit } = await import("/static/page/audit.js");
          showAudit({ ...audit, energy_residual_wh: 1, ok: false });
          return document.getElementById("audit").dataset.state;
        }""",
        audit,
    )
    assert wrong == "wrong"


CUT = """(cells) => cells.filter((cell) => {
  const text = document.createRange();
  text.selectNodeContents(cell.querySelector("button") ?? cell);
  const [inner, outer] = [text.getBoundingClientRect(), cell.getBoundingClientRect()];
  return inner.left < outer.left - 1 || inner.right > outer.right + 1;
}).map((cell) => cell.textContent)"""
"""The cells whose text is not all in sight."""


@pytest.mark.parametrize("wide", [PHONE["width"], 667, 744, 820])
def test_all_of_it_is_there_at_any_width_without_scrolling_the_page_sideways(
    browser: Browser, api: LiveApi, wide: int
) -> None:
    """R22: the table of homes goes sideways in itself, and no column of it is cut or left out."""
    with visit(browser, f"{api.server.url}/", viewport={"width": wide, "height": 800}) as seen:
        seen.until_tick(TICKS)
        seen.at("#ticks-table summary").click()
        seen.at("#homes-title").scroll_into_view_if_needed()
        expect(seen.at(".grid-body .grid-row").first).to_be_visible()
        assert seen.page.evaluate("() => document.documentElement.scrollWidth") == wide
        assert (
            seen.at(".grid [role=columnheader], .grid-body .grid-row > *").evaluate_all(CUT) == []
        )
        bill = seen.at(".grid-body .grid-row > :last-child").first
        bill.scroll_into_view_if_needed()
        box = bill.bounding_box()
        assert box is not None
        assert 0 < box["x"] + box["width"] <= wide


@pytest.mark.parametrize("viewport", [LAPTOP, PHONE], ids=["laptop", "phone"])
def test_the_homes_of_gifts_are_named_where_their_ribbons_end(
    browser: Browser, api: LiveApi, viewport: ViewportSize
) -> None:
    """R9: in full, in letters that can be read, and each name beside its own bar."""
    with visit(browser, f"{api.server.url}/", viewport=viewport) as seen:
        seen.until_tick(TICKS)
        seen.at("#flows-title").scroll_into_view_if_needed()
        expect(seen.at("#flows text").first).to_be_visible()
        place = seen.at("#flows").bounding_box()
        assert place is not None
        for name, bar in zip(
            seen.at("#flows text").all(), seen.at("#flows .node").all(), strict=True
        ):
            text, node = name.bounding_box(), bar.bounding_box()
            assert text is not None
            assert node is not None
            assert text["height"] > 11
            assert place["x"] <= text["x"]
            assert text["x"] + text["width"] <= place["x"] + place["width"]
            middle = text["y"] + text["height"] / 2
            assert node["y"] - 6 <= middle <= node["y"] + node["height"] + 6


def test_the_homes_of_gifts_are_opened_by_keyboard(seen: Visit) -> None:
    """R22: their names are buttons in the table, and the focus stays when it is made anew."""
    seen.at("#flows-table summary").click()
    first = seen.at("#flows-table button").first
    home = first.inner_text()
    first.focus()
    seen.page.evaluate(
        """async (flows) => {
          const { showFlows } = await import("/static/page/flows.js");
          showFlows(flows, () => {});
        }""",
        seen.get("/flows?ticks=50&limit=12"),
    )
    assert seen.page.evaluate("() => document.activeElement.textContent") == home
    seen.page.keyboard.press("Enter")
    expect(seen.at("dialog h2")).to_have_text(home.title())


def test_what_is_remembered_stays_bounded_over_ten_thousand_ticks(seen: Visit) -> None:
    """A page that is left open does not fill the memory."""
    kept = seen.page.evaluate(
        """async () => {
          const { History, KEPT } = await import("/static/page/history.js");
          const history = new History();
          for (let tick = 1; tick <= 10000; tick += 1) {
            const event = { name: "war", source: "external", coefficient_eur_per_kwh: 0.1 };
            history.addEvent({ ...event, start_tick: tick, ttl_ticks: 5 });
            history.add({ tick, price_eur_per_kwh: 1, next_price_eur_per_kwh: 1, terms: [{}] });
          }
          return { KEPT, sizes: [history.rows.length, history.terms.size, history.events.size] };
        }"""
    )
    assert all(kept["KEPT"] <= size <= 1.2 * kept["KEPT"] for size in kept["sizes"])


def answered_late(route: Route) -> None:
    """As by a market that is busy."""
    route.request.frame.page.wait_for_timeout(1_500)
    route.continue_()


@pytest.mark.parametrize("answer", [lambda route: route.fulfill(status=404), answered_late])
def test_terms_are_asked_for_once_however_often_the_page_is_drawn(
    seen: Visit, answer: Callable[[Route], None]
) -> None:
    """R16: and those of another tick do not stand there as if they were these."""
    asked: list[str] = []
    seen.page.on("request", lambda each: asked.append(each.url) if "/prices/" in each.url else None)
    seen.page.route(f"**/prices/{TICKS - 1}", answer)
    seen.at("#price-chart").focus()
    seen.page.keyboard.press("End")
    terms_shown(seen, TICKS)
    asked.clear()
    seen.page.keyboard.press("ArrowLeft")
    seen.page.wait_for_timeout(2_500)
    assert len(asked) == 1
    if answer is not answered_late:
        expect(seen.at("#waterfall tr")).to_have_count(0)
        expect(seen.at("#why-sum")).to_have_text("The market answered with 404.")
        seen.complaints.clear()  # the browser tells of the 404 too
    else:
        terms_shown(seen, TICKS - 1)
