"""The view at every size of a terminal, and what the keys ask for."""

from __future__ import annotations

import io
import threading
from dataclasses import replace

import pytest
from rich.console import Console

from lab.watch.answers import Audit, Clock, Event, Home, Homes, HomeTick, Replayed, Tick
from lab.watch.draw import chart, drawn, homes_that_fit
from lab.watch.keys import PACES_S, next_pace, pace_in_words
from lab.watch.link import MarketLink, server_sent
from lab.watch.picture import KEPT_PRICES, Picture, Shown

NOW_S = 1_000.0


def a_tick(number: int, **changes: float) -> Tick:
    values: dict[str, float] = {
        **{"price_eur_per_kwh": 0.25, "temperature_c": 11.5, "given_kwh": 3.5, "sold_kwh": 10.75},
        **{"bought_kwh": 14.5, "spilled_kwh": 0.4, "unserved_kwh": 1.2},
        **{"next_price_eur_per_kwh": 0.26},
    }
    numbers = values | changes
    return Tick(tick=number, homes=40, absent=2, degraded=[], **numbers)


def a_home(number: int) -> Home:
    tick = HomeTick(1.5, 2.25, 0.0, 0.5, 0.0, 0.25)
    return Home(number, "active", "sell_if_none", "buy_if_none", 4.23, 9.0, 12.5, tick)


def shown(homes: int = 40) -> Shown:
    return Shown(
        url="http://127.0.0.1:8000",
        connected=True,
        clock=Clock("running", 0.5, 1_234, 0, 2.0, 80.0, 12.1, 15.3),
        tick=a_tick(1_234),
        tick_at_s=NOW_S,
        prices=(*(0.2 + 0.001 * (n % 50) for n in range(298)), 0.25, 0.26),
        events=[Event("war", 0.03, 12), Event("holiday", -0.004, 3), Event("calm", -0.01, 5)],
        homes=Homes(40, [a_home(n) for n in range(1, homes + 1)], "40"),
        audit=Audit(True, 1_234, 0, 0, 0, 0, 0, Replayed(1_200, False)),
    )


def screen(picture: Shown, columns: int, lines: int, *, choosing: bool = False) -> list[str]:
    """The lines that stand on a terminal of that size."""
    out = io.StringIO()
    console = Console(
        file=out, width=columns, height=lines, color_system=None, legacy_windows=False
    )
    console.print(drawn(picture, NOW_S, (columns, lines), choosing=choosing), end="")
    return out.getvalue().splitlines()


SIZES = [
    *((80, 24), (200, 50), (110, 30), (110, 26), (110, 24), (110, 12), (120, 20)),
    *((100, 24), (60, 20), (60, 19), (40, 10)),
]


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_all_that_matters_stands_on_a_screen_of_any_usual_size(columns: int, lines: int) -> None:
    found = screen(shown(), columns, lines)
    text = "\n".join(found)
    assert len(found) <= lines
    assert max(map(len, found)) <= columns
    for wanted in ("LIVE", "tick 1,234", "x2", "0.2600 EUR/kWh", "▲ +0.0100", "11.5 °C", "gift"):
        assert wanted in text, wanted
    assert "war +0.0300 for 12" in text
    assert columns < 80 or ("holiday -0.0040 for 3" in text and "calm -0.0100 for 5" in text)
    assert "80.0 orders/s" in text
    assert "audit: every residual is 0" in text
    assert "space" in text


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_as_many_homes_are_fetched_as_are_seen(columns: int, lines: int) -> None:
    many = 200
    picture = replace(shown(many), homes=Homes(many, [a_home(n) for n in range(1, many + 1)]))
    found = screen(picture, columns, lines)
    seen = sum("sell_if_none" in line for line in found)
    assert seen == min(many, homes_that_fit((columns, lines))) or lines < 12


def test_a_wide_screen_has_bars_and_what_each_home_made_and_used() -> None:
    text = "\n".join(screen(shown(), 200, 50))
    for wanted in (
        "made",
        "used",
        "traded",
        "stock kWh",
        "bill EUR",
        "events alive",
        "p99 15.3 ms",
    ):
        assert wanted in text, wanted
    assert "purchase       14.500 kWh █" in text


@pytest.mark.parametrize(("columns", "lines"), [(39, 24), (80, 9), (20, 5), (5, 2), (1, 1)])
def test_a_tiny_terminal_has_the_state_first_and_never_more_lines_than_it_holds(
    columns: int, lines: int
) -> None:
    found = screen(shown(), columns, lines)
    assert len(found) <= lines
    assert found[0][:4] == "LIVE"[:columns] or columns < 5


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (30, 5)])
def test_before_anything_is_known_there_is_a_screen_too(size: tuple[int, int]) -> None:
    text = "\n".join(screen(Shown(url="http://x", trouble="nobody there"), *size))
    assert "RECONNECTING" in text
    assert "waiting for the first tick" in text


def test_the_state_is_one_of_five_words() -> None:
    live = shown()
    assert live.state(NOW_S + 5) == "LIVE"
    assert live.state(NOW_S + 5.1) == "STALE"
    slow = replace(live, clock=Clock("running", 60.0, 1))
    assert slow.state(NOW_S + 179) == "LIVE"
    assert replace(live, clock=Clock("paused", 0.5, 1)).state(NOW_S + 900) == "PAUSED"
    assert replace(live, clock=Clock("finished", 0.5, 1)).state(NOW_S + 900) == "FINISHED"
    assert replace(live, connected=False).state(NOW_S) == "RECONNECTING"
    text = "\n".join(screen(replace(live, tick_at_s=900.0, waiting_for=["weather"]), 100, 24))
    assert "STALE" in text
    assert "no tick for 100 s, waiting for weather" in text


def test_a_residual_that_is_not_0_is_seen() -> None:
    broken = Audit(False, 9, 7, 0, 0, 0, 0)
    assert "AUDIT: energy 7 Wh" in "\n".join(screen(replace(shown(), audit=broken), 80, 24))
    fault = Audit(False, 9, 0, 0, 0, 0, 0, Replayed(8, False, "tick 8: the hash chain is broken"))
    assert "hash chain is broken" in "\n".join(screen(replace(shown(), audit=fault), 80, 24))


def test_the_choice_of_an_event_stands_where_the_keys_were() -> None:
    text = "\n".join(screen(shown(), 80, 24, choosing=True))
    assert "1 war  2 fuel_shortage" in text
    assert "quit" not in text


def test_a_chart_spans_from_the_least_to_the_greatest_value() -> None:
    top, bottom = chart([0.0, 1.0, 2.0], 10, 2)
    assert (top.plain, bottom.plain) == (" ▁█", "▁██")
    assert chart([5.0] * 3, 2, 1)[0].plain == "▁▁"
    assert [line.plain for line in chart([], 9, 2)] == ["", ""]


def test_paces_go_from_a_quarter_to_full_speed_and_end_there() -> None:
    assert (PACES_S[0], PACES_S[-1]) == (4.0, 0.0)
    assert next_pace(1.0, faster=True) == 0.5
    assert next_pace(1.0, faster=False) == 2.0
    assert next_pace(0.2, faster=True) == 0.1
    assert next_pace(0.2, faster=False) == 0.25
    assert next_pace(0.0, faster=True) == 0.0
    assert next_pace(90.0, faster=False) == 4.0
    assert [pace_in_words(each) for each in (4.0, 0.5, 0.0)] == ["x0.25", "x2", "full speed"]


def test_ticks_are_taken_once_and_prices_are_bounded() -> None:
    picture = Picture(Shown(url=""))
    picture.take_ticks([a_tick(n) for n in range(1, 1_001)])
    picture.take_ticks([a_tick(1_000, next_price_eur_per_kwh=9.0), a_tick(1_001)])
    assert picture.shown.tick == a_tick(1_001)
    assert len(picture.shown.prices) == KEPT_PRICES
    assert 9.0 not in picture.shown.prices
    picture.forget()
    assert picture.shown.tick is None
    assert not picture.shown.prices


def test_price_and_change_are_right_at_once_and_after_ticks_that_were_not_heard_of() -> None:
    """The price is that of the tick to come, and the change that against the tick before it."""
    picture = Picture(Shown(url=""))

    def prices(tick: int, price: float, coming: float) -> list[float]:
        fields = {"price_eur_per_kwh": price, "next_price_eur_per_kwh": coming}
        picture.take_ticks([a_tick(tick, **fields)])
        return list(picture.shown.prices)

    assert prices(300, 0.25, 0.24) == [0.25, 0.24]
    assert "0.2400 EUR/kWh ▼ -0.0100" in "\n".join(screen(picture.shown, 80, 24))
    assert prices(400, 0.30, 0.31) == [0.25, 0.24, 0.30, 0.31]
    assert prices(401, 0.31, 0.30) == [0.25, 0.24, 0.30, 0.31, 0.30]


def test_a_thread_of_the_link_that_fails_is_heard_of() -> None:
    """What cannot be sent stands for whatever nobody has thought of."""
    failed = threading.Event()
    link = MarketLink("http://127.0.0.1:1", "token", Picture(Shown(url="")), failed=failed.set)
    link.start()
    link.start_event(object(), 0.0, 1)  # type: ignore[arg-type]
    assert failed.wait(10)
    with pytest.raises(TypeError):
        link.stop()


def test_server_sent_events_are_read_with_comments_and_several_lines_of_data() -> None:
    lines = [
        ": ping",
        "",
        "event: tick",
        "id: 3",
        "data: 1",
        "data: 2",
        "",
        "retry: 9",
        "",
        "data:x",
    ]
    assert list(server_sent([*lines, ""])) == [("tick", "1\n2"), ("message", "x")]
