"""``/clock``: pause, run, pace and single steps, over the API of a market at work."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from energymarket.clock import Clock
from services.market.settings import MarketSettings
from services.market.tick_cycle import Tempo
from tests.fakes import FakeClock
from tests.live_api import PROBLEM, TOKEN, LiveApi, problem_in
from tests.world import World

AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def api() -> Iterator[LiveApi]:
    live = LiveApi(World("sqlite://"))
    live.world.turn_until_tick(5)
    yield live
    live.close()


def change(api: LiveApi, **body: Any) -> httpx.Response:
    return api.client.patch("/clock", json=body, headers=AUTHORISED)


def step(api: LiveApi, **body: Any) -> httpx.Response:
    return api.client.post("/clock/step", json=body or None, headers=AUTHORISED)


def come_to_rest(api: LiveApi) -> int:
    """Turns until no tick is open any more; the newest that is settled."""
    api.world.turn(20)
    return api.world.tick


def test_the_clock_says_state_pace_and_newest_tick(api: LiveApi) -> None:
    clock = api.get("/clock")
    assert clock["state"] == "running"
    assert (clock["pace_s"], clock["steps_left"]) == (0, 0)
    assert clock["tick"] == api.get("/price")["tick"]


def test_rates_and_times_are_those_of_the_newest_two_hundred_ticks(api: LiveApi) -> None:
    """Three homes, and a hundredth of a second from one turn to the next."""
    api.world.turn_until_tick(230)
    clock = api.get("/clock")
    assert clock["window_ticks"] == 200
    assert clock["orders_per_s"] == pytest.approx(3 * clock["ticks_per_s"])
    taken_ms = 1_000 / clock["ticks_per_s"]
    assert taken_ms == pytest.approx(clock["tick_ms_p50"])
    assert clock["tick_ms_p50"] <= clock["tick_ms_p99"]


def test_before_the_first_tick_there_are_no_rates() -> None:
    live = LiveApi(World("sqlite://"))
    clock = live.get("/clock")
    live.close()
    assert (clock["tick"], clock["window_ticks"]) == (0, 0)
    for name in ("ticks_per_s", "orders_per_s", "tick_ms_p50", "tick_ms_p99"):
        assert clock[name] is None


def test_a_paused_market_settles_the_open_tick_and_opens_no_other(api: LiveApi) -> None:
    with api.ticking():
        answer = change(api, state="paused")
    assert (answer.status_code, answer.json()["state"]) == (200, "paused")
    newest_opened = api.get("/clock")["tick"]
    assert come_to_rest(api) == newest_opened
    api.world.pass_time(500)
    assert api.world.tick == newest_opened
    assert api.get("/clock")["tick"] == newest_opened
    assert api.get("/readyz")["waiting_for"] == ["clock"]
    assert [line for line in api.world.log.lines if line["level"] != "info"] == []


def test_a_market_that_runs_on_goes_on_where_it_was(api: LiveApi) -> None:
    with api.ticking():
        change(api, state="paused")
    rested_at = come_to_rest(api)
    with api.ticking():
        assert change(api, state="running").json()["state"] == "running"
    api.world.turn_until_tick(rested_at + 3)
    ticks = [row["tick"] for row in api.get("/prices")["prices"]]
    assert ticks == list(range(1, api.world.tick + 1))
    assert api.get("/audit")["ok"]


def test_steps_open_so_many_ticks_and_then_it_is_paused_again(api: LiveApi) -> None:
    with api.ticking():
        change(api, state="paused")
    rested_at = come_to_rest(api)
    for body, ticks in (({}, 1), ({"ticks": 4}, 4)):
        with api.ticking():
            answer = step(api, **body)
        assert answer.status_code == 200
        assert answer.json()["state"] == "paused"
        api.world.turn(200)
        rested_at += ticks
        assert api.world.tick == rested_at
        assert api.get("/clock")["steps_left"] == 0


def test_a_step_of_a_running_clock_is_refused_with_what_to_do(api: LiveApi) -> None:
    with api.ticking():
        problem = problem_in(step(api), 409)
    assert "pause the clock first" in problem["detail"]


def test_a_pause_takes_back_the_steps_that_are_left(api: LiveApi) -> None:
    with api.ticking():
        change(api, state="paused", pace_s=86_400)
        assert step(api, ticks=100).json()["steps_left"] >= 99
        assert change(api, state="paused").json()["steps_left"] == 0
    rested_at = come_to_rest(api)
    api.world.pass_time(500)
    assert api.world.tick == rested_at


def paced(clock: Clock, api: LiveApi) -> list[float]:
    """When the next three ticks opened, in seconds from one to the next."""
    assert isinstance(clock, FakeClock)
    opened_at: list[float] = []
    seen = api.world.market.view.opening
    while len(opened_at) < 4:
        clock.time_s += 0.1
        api.world.turn()
        opening = api.world.market.view.opening
        if opening != seen:
            opened_at.append(clock.time_s)
            seen = opening
    return [after - before for before, after in pairwise(opened_at)]


def test_the_pace_is_the_time_from_one_opening_to_the_next_and_counts_at_once(
    api: LiveApi,
) -> None:
    for pace_s in (2.0, 0.5, 5):
        with api.ticking():
            assert change(api, pace_s=pace_s).json()["pace_s"] == pace_s
        assert paced(api.world.clock, api)[1:] == pytest.approx([pace_s] * 2, abs=0.25)


def test_a_restarted_market_runs_at_the_pace_of_its_settings() -> None:
    world = World("sqlite://", tempo=Tempo(tick_s=7, deadline_s=0))
    live = LiveApi(world)
    with live.ticking():
        change(live, state="paused", pace_s=0)
    fresh, member = world.new_market()
    assert (fresh.view.clock.paused, fresh.view.clock.pace_s) == (False, 7)
    member.bus.close()
    live.close()


def test_every_pace_that_the_settings_allow_is_taken(api: LiveApi) -> None:
    """R24: whoever asks for the pace that there is has changed nothing, and is right."""
    longest = MarketSettings(tick_seconds=86_400).tick_seconds
    with api.ticking():
        assert change(api, pace_s=longest).json()["pace_s"] == longest


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "state, pace_s"),
        ({"speed": 2}, "it takes state, pace_s"),
        ({"state": "stopped"}, "one of running, paused"),
        ({"state": None}, "one of running, paused"),
        ({"pace_s": -1}, "a number from 0 to 86400"),
        ({"pace_s": 86_401}, "a number from 0 to 86400"),
        ({"pace_s": "1"}, "a number from 0 to 86400"),
        ([], "a JSON object with state, pace_s"),
    ],
)
def test_a_wrong_change_is_refused_with_what_is_allowed(
    api: LiveApi, body: object, said: str
) -> None:
    """R24."""
    answer = api.client.patch("/clock", json=body, headers=AUTHORISED)
    assert said in problem_in(answer, 422)["detail"]


@pytest.mark.parametrize("ticks", [0, 1_001, "1", None])
def test_a_wrong_number_of_steps_is_refused_with_what_is_allowed(
    api: LiveApi, ticks: object
) -> None:
    """R24."""
    answer = api.client.post("/clock/step", json={"ticks": ticks}, headers=AUTHORISED)
    assert "an integer from 1 to 1000" in problem_in(answer, 422)["detail"]


def test_nobody_changes_the_clock_without_the_token(api: LiveApi) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        for answer in (
            api.client.patch("/clock", json={"state": "paused"}, headers=headers),
            api.client.post("/clock/step", headers=headers),
        ):
            assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
    assert not api.world.market.view.clock.paused


def test_a_clock_that_has_finished_is_changed_no_more() -> None:
    live = LiveApi(World("sqlite://", tempo=Tempo(tick_s=0, deadline_s=0, max_ticks=3)))
    live.world.turn_until_tick(3)
    live.world.turn(3)
    assert live.get("/clock")["state"] == "finished"
    for answer in (change(live, state="running"), step(live)):
        assert "the run is over" in problem_in(answer, 409)["detail"]
    live.close()
