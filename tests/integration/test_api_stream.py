"""``/stream``: every settled tick once and in order, resumable, and no hindrance to stopping."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import pytest

from tests.live_api import PROBLEM, LiveApi
from tests.world import World

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


def test_a_reader_gets_every_tick_from_the_next_on_with_its_number_as_id(api: LiveApi) -> None:
    """R22: the same on the API, as it happens."""
    with api.ticking(pause_s=0.01):
        found = [event for event in listen(api, 20) if event[0] == "tick"]
    numbers = [data["tick"] for _, _, data in found]
    assert numbers == list(range(numbers[0], numbers[0] + 20))
    assert [identifier for _, identifier, _ in found] == [str(number) for number in numbers]
    prices = [(data["price_eur_per_kwh"], data["next_price_eur_per_kwh"]) for *_, data in found]
    assert all(before[1] == after[0] for before, after in pairwise(prices))


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
    time.sleep(0.5)
    begun = time.monotonic()
    api.server.stop()
    for reader in readers:
        reader.join(5)
    assert time.monotonic() - begun < 2
    assert ended == ["in order"] * 5
