"""``/weather``, ``/events`` and starting one, of a real market over a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from energymarket.messages import EventStart
from services.market.tick_cycle import Tempo
from tests.live_api import TOKEN, LiveApi, problem_in
from tests.world import World

HEAT = {"name": "heat_wave", "coefficient_eur_per_kwh": 0.05, "ttl_ticks": 3}


@pytest.fixture
def api() -> Iterator[LiveApi]:
    """A market that has settled a few ticks."""
    world = World("sqlite://", homes=3)
    world.turn_until_tick(3)
    live = LiveApi(world)
    yield live
    live.close()


@pytest.fixture
def paced() -> Iterator[LiveApi]:
    """A market with one tick a second, of the clock that the test turns."""
    world = World("sqlite://", homes=3, tempo=Tempo(tick_s=1, deadline_s=0))
    world.turn_until_tick(3)
    live = LiveApi(world)
    yield live
    live.close()


# ---------------------------------------------------------------------------------------- weather


def test_the_weather_is_that_of_the_open_tick_and_of_the_coming_ones(api: LiveApi) -> None:
    """R20: what weather has written, as far ahead as the market knows it."""
    view = api.world.market.view
    assert view.opening is not None
    weather = api.get("/weather")
    assert weather["now"] == {
        "tick": view.opening.tick,
        "temperature_c": view.opening.temperature_mdeg / 1_000,
    }
    ticks = [coming["tick"] for coming in weather["forecast"]]
    assert ticks == list(range(view.opening.tick + 1, view.opening.tick + 1 + len(ticks)))
    assert len(ticks) > 10
    for coming in weather["forecast"]:
        assert coming["temperature_c"] == view.forecast_mdeg[coming["tick"]] / 1_000


def test_the_forecast_comes_true(api: LiveApi) -> None:
    """R20: the temperature of a tick is the one that was forecast for it."""
    coming = api.get("/weather")["forecast"][4]
    api.world.turn_until_tick(coming["tick"])
    row = api.get("/prices", from_tick=coming["tick"], limit=1)["prices"][0]
    assert row["temperature_c"] == coming["temperature_c"]


def test_before_the_first_tick_there_is_no_weather_now() -> None:
    """R20: null, not an error: a forecast may be there already."""
    live = LiveApi(World("sqlite://", homes=1))
    try:
        assert live.get("/weather") == {"now": None, "forecast": []}
    finally:
        live.close()


# ----------------------------------------------------------------------------------------- events


def test_a_started_event_comes_lives_and_passes(api: LiveApi) -> None:
    """R19: begins in the tick that the answer names, lives its ticks, moves the price, is past."""
    with api.ticking():
        answer = api.start_event(HEAT)
    assert answer.status_code == 201, answer.text
    started = answer.json()
    assert started["coefficient_neur_per_wh"] == 50_000
    assert started["source"] == "api"
    begins = started["start_tick"]
    assert started["last_tick"] == begins + 2

    api.world.turn_until_tick(begins + 4)
    for tick in range(begins, begins + 3):
        assert "event:heat_wave" in terms(api, tick + 1)
        assert terms(api, tick + 1)["event:heat_wave"] == 50_000
    assert "event:heat_wave" not in terms(api, begins)
    assert "event:heat_wave" not in terms(api, begins + 4)
    past = [event for event in api.get("/events")["past"] if event["id"] == started["id"]]
    assert past == [started]


def terms(api: LiveApi, tick: int) -> dict[str, int]:
    return {t["name"]: t["neur_per_wh"] for t in api.get(f"/prices/{tick}")["terms"]}


def test_an_event_is_coming_then_alive_with_the_ticks_it_has_left(paced: LiveApi) -> None:
    """R19: one that is alive is told with its remaining ticks, this one counted."""
    api = paced
    started = api.start_event_in_stillness(HEAT).json()
    assert started in api.get("/events")["coming"]
    turn_to_opening(api, started["start_tick"])
    left = []
    for _ in range(3):
        events = api.get("/events")
        mine = [event for event in events["alive"] if event["id"] == started["id"]]
        assert [(e["name"], e["start_tick"], e["ttl_ticks"]) for e in mine] == [
            ("heat_wave", started["start_tick"], 3)
        ]
        left.append(mine[0]["remaining_ticks"])
        turn_to_opening(api, events["tick"] + 1)
    assert left == [3, 2, 1]
    assert started["id"] in [event["id"] for event in api.get("/events")["past"]]


def turn_to_opening(api: LiveApi, tick: int) -> None:
    """Turns until ``tick`` opens; the pace keeps it from being passed over."""
    for _ in range(10_000):
        opening = api.world.market.view.opening
        if opening and opening.tick >= tick:
            assert opening.tick == tick
            return
        api.world.clock.time_s += 0.1
        api.world.turn()
    raise AssertionError(f"tick {tick} did not open")


def test_what_external_began_in_the_open_tick_is_alive_before_it_is_stored(paced: LiveApi) -> None:
    """R19: it has no id until its tick is settled, and then keeps the same start."""
    api = paced
    seen: dict[tuple[str, int], int | None] = {}
    for tick in range(4, 60):
        turn_to_opening(api, tick)
        for event in api.get("/events")["alive"]:
            assert event["source"] == "external"
            assert event["start_tick"] + event["ttl_ticks"] - event["remaining_ticks"] == tick
            key = event["name"], event["start_tick"]
            if event["start_tick"] < tick:
                assert event["id"] is not None
            seen[key] = event["id"]
    assert len(seen) > 2


def test_several_events_of_one_name_are_told_apart(api: LiveApi) -> None:
    """R19: they add up to one term, and each has its own entry."""
    with api.ticking():
        ids = {api.start_event({**HEAT, "ttl_ticks": 5_000}).json()["id"] for _ in range(3)}
    api.world.turn_until_tick(api.world.tick + 3)
    alive = [event for event in api.get("/events")["alive"] if event["name"] == "heat_wave"]
    assert {event["id"] for event in alive} == ids
    assert terms(api, api.world.tick + 1)["event:heat_wave"] == 150_000


def test_an_event_that_lives_long_is_told_as_it_began_however_many_began_since(
    api: LiveApi,
) -> None:
    """R19."""
    with api.ticking():
        started = api.start_event({**HEAT, "ttl_ticks": 5_000}).json()
    api.world.turn_until_tick(started["start_tick"])
    for _ in range(1_200):
        api.world.market.start_event(
            EventStart(name="blink", coefficient_neur_per_wh=1, ttl_ticks=1)
        )
    api.world.turn_until_tick(api.world.tick + 3)
    alive = api.get("/events")["alive"]
    (found,) = [event for event in alive if event["name"] == "heat_wave"]
    for name in ("id", "start_tick", "ttl_ticks", "source"):
        assert found[name] == started[name]


def test_past_events_are_bounded_by_the_limit(api: LiveApi) -> None:
    """R19: newest first."""
    api.world.turn_until_tick(120)
    everything = api.get("/events")["past"]
    assert len(everything) > 3
    assert api.get("/events", limit=2)["past"] == everything[:2]
    assert [e["start_tick"] for e in everything] == sorted(
        (e["start_tick"] for e in everything), reverse=True
    )


# ------------------------------------------------------------------------------------------ writes


@pytest.mark.parametrize("token", [None, "wrong", TOKEN + "x", TOKEN[:-1], "ünrecht"])
def test_without_the_token_nothing_is_written(api: LiveApi, token: str | None) -> None:
    """R24: 401 with a challenge, for a missing and for a wrong token."""
    given = [] if token is None else [(b"Authorization", b"Bearer " + token.encode())]
    answer = api.client.post("/events", json=HEAT, headers=given)
    problem = problem_in(answer, 401)
    assert answer.headers["www-authenticate"].startswith('Bearer realm="energymarket"')
    assert TOKEN not in answer.text
    assert "token" in problem["detail"]
    api.world.turn(5)
    assert api.get("/events")["coming"] == []


def test_another_kind_of_credentials_is_not_taken(api: LiveApi) -> None:
    """R24: the scheme must be Bearer; its case does not matter."""
    answer = api.client.post("/events", json=HEAT, auth=("user", TOKEN))
    problem_in(answer, 401)
    headers = {"Authorization": f"bearer {TOKEN}"}
    with api.ticking():
        assert api.client.post("/events", json=HEAT, headers=headers).status_code == 201


@pytest.mark.parametrize(
    ("change", "parameter", "allowed"),
    [
        ({"name": "War"}, "name", "text of 1 to 64 characters that matches ^[a-z][a-z0-9_]*$"),
        ({"name": ""}, "name", "1 to 64"),
        ({"name": "x" * 65}, "name", "1 to 64"),
        ({"name": 7}, "name", "text"),
        ({"name": None}, "name", "text"),
        ({"coefficient_eur_per_kwh": 1_000_001}, "coefficient_eur_per_kwh", "to 1000000"),
        ({"coefficient_eur_per_kwh": "0.1"}, "coefficient_eur_per_kwh", "a number from -1000000"),
        ({"coefficient_eur_per_kwh": True}, "coefficient_eur_per_kwh", "a number"),
        ({"ttl_ticks": 0}, "ttl_ticks", "an integer from 1 to 100000"),
        ({"ttl_ticks": 100_001}, "ttl_ticks", "an integer from 1 to 100000"),
        ({"ttl_ticks": 2.5}, "ttl_ticks", "an integer from 1 to 100000"),
        ({"ttl": 3}, "ttl", "name, coefficient_eur_per_kwh, ttl_ticks"),
    ],
)
def test_a_wrong_event_is_refused_by_name_value_and_what_is_allowed(
    api: LiveApi, change: dict[str, Any], parameter: str, allowed: str
) -> None:
    """R19, R24: the limits are those of the event message."""
    problem = problem_in(api.start_event({**HEAT, **change}), 422)
    errors = {error["parameter"]: error for error in problem["errors"]}
    assert allowed in errors[parameter]["allowed"]
    assert errors[parameter]["value"].startswith(repr(change[parameter])[:20])
    assert parameter in problem["detail"]


def test_every_missing_member_is_named(api: LiveApi) -> None:
    """R24: all at once, so that nobody has to try three times."""
    problem = problem_in(api.start_event({}), 422)
    assert {(error["parameter"], error["value"]) for error in problem["errors"]} == {
        ("name", "missing"),
        ("coefficient_eur_per_kwh", "missing"),
        ("ttl_ticks", "missing"),
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1]",
        b'"text"',
        b"null",
        b'{"name": "a", "coefficient_eur_per_kwh": NaN, "ttl_ticks": 1}',
        b'{"name": "a", "coefficient_eur_per_kwh": Infinity, "ttl_ticks": 1}',
        b"[" * 10_000,
        b'\xff\xfe{"name": 1}',
    ],
)
def test_a_body_that_is_no_event_is_refused(api: LiveApi, body: bytes) -> None:
    """R24: whatever is sent, the answer is a problem and the market lives."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    problem = problem_in(api.client.post("/events", content=body, headers=headers), 422)
    assert problem["errors"]


def test_a_body_of_another_type_is_refused(api: LiveApi) -> None:
    """R24: 415 names the type that was sent."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/plain"}
    answer = api.client.post("/events", content=b'{"name": "war"}', headers=headers)
    assert "text/plain" in problem_in(answer, 415)["detail"]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_is_refused_unread(api: LiveApi, chunked: bool) -> None:
    """R24: with a length that says so, and without one."""
    body = b"x" * 100_000
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    content = iter([body[:50_000], body[50_000:]]) if chunked else body
    answer = api.client.post("/events", content=content, headers=headers)
    assert "16384" in problem_in(answer, 413)["detail"]


def test_a_market_that_stands_still_is_503_and_the_event_is_withdrawn() -> None:
    """R19: what was answered with 503 does not happen later."""
    world = World("sqlite://", homes=2)
    world.turn_until_tick(2)
    live = LiveApi(world, command_timeout_s=0.2)
    try:
        answer = live.start_event(HEAT)
        assert "nothing was changed" in problem_in(answer, 503)["detail"]
        assert answer.headers["retry-after"] == "1"
        world.turn_until_tick(6)
        events = live.get("/events")
        named = [event["name"] for event in [*events["alive"], *events["coming"], *events["past"]]]
        assert "heat_wave" not in named
    finally:
        live.close()


def test_after_the_last_tick_no_event_can_be_started() -> None:
    """R24: 409, for there is no coming tick."""
    world = World("sqlite://", homes=2, tempo=Tempo(tick_s=0, deadline_s=0, max_ticks=3))
    world.turn_until_tick(3)
    world.turn(3)
    live = LiveApi(world)
    try:
        assert "over" in problem_in(live.start_event(HEAT), 409)["detail"]
    finally:
        live.close()
