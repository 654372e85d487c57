"""``/stream``: every settled tick once and in order, resumable, and no hindrance to stopping."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_api import PROBLEM, TOKEN, LiveApi
from tests.world import World

AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}
Event = tuple[str, str | None, dict[str, Any]]
"""(name, id, data)"""


@pytest.fixture
def api() -> Iterator[LiveApi]:
    live = LiveApi(World("sqlite://"))
    live.world.turn_until_tick(5)
    yield live
    live.close()


def events(response: httpx.Response) -> Iterator[Event]:
    """The events of a stream, comments aside."""
    fields: dict[str, str] = {}
    for line in response.iter_lines():
        if not line and fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def listen(api: LiveApi, count: int, **headers: str) -> list[Event]:
    """The first ``count`` ticks of a stream, with the events between them."""
    found: list[Event] = []
    ticks = 0
    with api.client.stream("GET", "/stream", headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for event in events(response):
            found.append(event)
            ticks += event[0] == "tick"
            if ticks == count:
                return found
    return found


class Listener:
    """A reader that keeps its connection, while the test does other things."""

    def __init__(self, api: LiveApi) -> None:
        self._open = ExitStack()
        asked = api.client.stream("GET", "/stream", timeout=30)
        self._events = events(self._open.enter_context(asked))

    def next(self) -> Event:
        return next(self._events)

    def wait_for(self, name: str) -> Event:
        """The next event of that name."""
        return next(event for event in self._events if event[0] == name)

    def until_tick(self, tick: int) -> list[Event]:
        """The events up to that tick, clocks aside; then it hangs up."""
        found: list[Event] = []
        while not found or found[-1][0] != "tick" or found[-1][2]["tick"] < tick:
            event = self.next()
            if event[0] != "clock":
                found.append(event)
        self.close()
        return found

    def close(self) -> None:
        self._open.close()


def test_a_reader_gets_every_tick_from_the_next_on_with_its_number_as_id(api: LiveApi) -> None:
    """R22: the same on the API, as it happens."""
    with api.ticking(pause_s=0.01):
        found = [event for event in listen(api, 20) if event[0] == "tick"]
    numbers = [data["tick"] for _, _, data in found]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert [identifier for _, identifier, _ in found] == [str(number) for number in numbers]
    prices = [(data["price_eur_per_kwh"], data["next_price_eur_per_kwh"]) for *_, data in found]
    assert all(before[1] == after[0] for before, after in pairwise(prices))


def test_a_tick_comes_with_its_row_its_hash_and_the_terms_of_the_price_that_it_made(
    api: LiveApi,
) -> None:
    """As it is settled, and read again from the ledger: the same to the last sign."""
    with api.ticking(pause_s=0.01):
        found = [event for event in listen(api, 5) if event[0] == "tick"]
    before = found[0][2]["tick"] - 1
    again = listen(api, 5, **{"Last-Event-ID": str(before)})
    assert [event for event in again if event[0] == "tick"] == found
    for _, _, data in found:
        (row,) = api.get("/prices", from_tick=data["tick"], limit=1)["prices"]
        coming = api.get(f"/prices/{data['tick'] + 1}")
        stored = api.world.market.history.tick_hash(data["tick"])
        assert stored is not None
        assert data == row | {
            "next_price_eur_per_kwh": coming["price_eur_per_kwh"],
            "head_hash": stored.hex(),
            "terms": [
                {"name": term["name"], "eur_per_kwh": term["eur_per_kwh"]}
                for term in coming["terms"]
            ],
        }


def test_a_reader_that_comes_back_misses_nothing(api: LiveApi) -> None:
    """`Last-Event-ID` is the newest tick that it has."""
    found = listen(api, 3, **{"Last-Event-ID": "2"})
    assert [data["tick"] for name, _, data in found if name == "tick"] == [3, 4, 5]


def test_a_reader_that_is_far_behind_is_served_from_the_ledger_without_a_gap(api: LiveApi) -> None:
    api.world.turn_until_tick(1_300)
    found = listen(api, 1_300, **{"Last-Event-ID": "0"})
    assert [data["tick"] for name, _, data in found if name == "tick"] == list(range(1, 1_301))


def test_an_external_event_comes_just_before_the_tick_in_which_it_begins(api: LiveApi) -> None:
    """R19."""
    body = {"name": "strike", "coefficient_eur_per_kwh": 0.03, "ttl_ticks": 4}
    began = api.start_event_in_stillness(body).json()["start_tick"]
    api.world.turn_until_tick(began)
    found = listen(api, began, **{"Last-Event-ID": "0"})
    place = next(i for i, (name, _, data) in enumerate(found) if data.get("name") == "strike")
    assert found[place][0] == "event"
    following = [data for name, _, data in found[place:] if name == "tick"]
    assert following[0]["tick"] == began


def test_more_and_fewer_homes_are_told_just_before_the_tick_that_they_take_part_in(
    api: LiveApi,
) -> None:
    """R2: live, and read again from the ledger."""
    world = api.world
    with api.ticking(pause_s=0.01):
        reader = Listener(api)
        reader.wait_for("tick")
    world.add_home(instance="late")
    world.turn_until_tick(world.tick + 4)
    world.homes[0].service.stop()
    world.homes[0].stopped = True
    world.turn_until_tick(world.tick + 3)
    newest = world.tick
    found = reader.until_tick(newest)
    changes = [data for name, _, data in found if name == "homes"]
    assert [(change["before"], change["homes"]) for change in changes] == [(3, 4), (4, 3)]
    for place, (name, identifier, data) in enumerate(found):
        if name == "homes":
            assert identifier is None
            assert found[place + 1][0] == "tick"
            assert found[place + 1][2]["tick"] == data["tick"]
            assert found[place + 1][2]["homes"] == data["homes"]
    again = listen(api, newest, **{"Last-Event-ID": "0"})
    assert [data for name, _, data in again if name == "homes"] == [
        {"tick": 1, "homes": 3, "before": 0},
        *changes,
    ]


def test_a_reader_gets_the_clock_first_and_at_once_when_somebody_changes_it(
    api: LiveApi,
) -> None:
    """Without an id: who comes back is not to think that it has had a tick."""
    reader = Listener(api)
    name, identifier, data = reader.next()
    assert (name, identifier) == ("clock", None)
    assert data == api.get("/clock")
    with api.ticking(pause_s=0.01):
        for change in ({"pace_s": 0.25}, {"state": "paused"}, {"state": "running"}):
            answer = api.client.patch("/clock", json=change, headers=AUTHORISED)
            assert answer.status_code == 200
            while True:
                (member, value), *_ = change.items()
                _, _, data = reader.wait_for("clock")
                if data[member] == value:
                    break
    reader.close()


def test_a_browser_is_told_to_come_back_after_a_second(api: LiveApi) -> None:
    with api.client.stream("GET", "/stream") as response:
        block = []
        for line in response.iter_lines():
            if not line:
                break
            block.append(line)
    assert "retry: 1000" in block
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"


def test_a_reader_goes_on_without_a_gap_after_the_market_was_started_again(tmp_path: Path) -> None:
    world = World(f"sqlite:///{tmp_path}/ledger.db")
    world.turn_until_tick(5)
    first = LiveApi(world)
    with first.ticking(pause_s=0.01):
        heard = [event for event in listen(first, 4) if event[0] == "tick"]
    first.client.close()
    first.server.stop()
    world.restart_market()
    world.turn_until_tick(world.tick + 3)
    second = LiveApi(world)
    last = heard[-1][1]
    assert last is not None
    with second.ticking(pause_s=0.01):
        heard += [e for e in listen(second, 8, **{"Last-Event-ID": last}) if e[0] == "tick"]
    second.close()
    numbers = [data["tick"] for _, _, data in heard]
    assert numbers == list(range(numbers[0], numbers[0] + 12))
    prices = [(data["price_eur_per_kwh"], data["next_price_eur_per_kwh"]) for *_, data in heard]
    assert all(before[1] == after[0] for before, after in pairwise(prices))


def test_a_reader_of_a_ledger_that_has_forgotten_begins_with_the_oldest_tick_there_is(
    api: LiveApi,
) -> None:
    with api.world.market.books.ledger._database.writing("nothing") as connection:
        connection.exec_driver_sql("DELETE FROM ticks WHERE tick < 3")
    found = listen(api, 3, **{"Last-Event-ID": "0"})
    assert [data["tick"] for name, _, data in found if name == "tick"] == [3, 4, 5]
    assert "homes" not in [name for name, *_ in found]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 40])
def test_a_wrong_last_event_id_is_a_problem_that_names_it(api: LiveApi, value: str) -> None:
    """R24."""
    answer = api.client.get("/stream", headers={"Last-Event-ID": value})
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert "Last-Event-ID" in answer.json()["detail"]


def test_only_the_stream_has_no_head(api: LiveApi) -> None:
    """It would never end."""
    answer = api.client.head("/stream")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert api.client.head("/price").status_code == 200


def test_the_server_stops_at_once_though_readers_are_connected(api: LiveApi) -> None:
    """R23."""
    ended: list[str] = []

    def read() -> None:
        with httpx.stream("GET", f"{api.server.url}/stream", timeout=30) as response:
            for _ in response.iter_lines():
                pass
        ended.append("in order")

    readers = [threading.Thread(target=read) for _ in range(5)]
    for reader in readers:
        reader.start()
    begun = time.monotonic()
    while sum(reader.greeted for reader in api.app.state.feed._readers.values()) < 5:
        assert time.monotonic() < begun + 30
        time.sleep(0.01)
    begun = time.monotonic()
    api.server.stop()
    for reader in readers:
        reader.join(5)
    assert time.monotonic() - begun < 2
    assert ended == ["in order"] * 5
