"""What a load test asks a system before it begins, and what it says to one that cannot take it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from energymarket.errors import EnergyMarketError, SettingsError
from lab.load.conductor import check_system
from lab.load.errors import LoadFailed
from lab.load.market_api import MarketApi
from lab.load.plan import LoadPlan

RUN: dict[str, Any] = {
    "run": "9a39b7a5a8de9da7",
    "role": "settling",
    "tick": 40,
    "homes": 7,
    "finished": False,
    "settings": {
        "tick_seconds": 0.5,
        "tick_deadline_seconds": 2.0,
        "max_orders_in_flight": 100,
    },
    "versions": {},
}
METRICS = """# TYPE energymarket_tick_phase_seconds histogram
energymarket_tick_phase_seconds_count{phase="settle"} 4.0
energymarket_tick_phase_seconds_sum{phase="settle"} 2.0
# TYPE energymarket_ticks_total counter
energymarket_ticks_total 4.0
"""

Answer = Callable[[str, str | None], tuple[int, str]]


@contextmanager
def api(answer: Answer) -> Iterator[MarketApi]:
    """An API that answers (path, authorisation) as it is told to."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield MarketApi(f"http://127.0.0.1:{server.server_port}/", token="sesame")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def broker() -> Iterator[str]:
    """Somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"amqp://u:p@127.0.0.1:{listening.getsockname()[1]}/energymarket"


def market_that_says(run: dict[str, Any], pace_s: float = 0.5) -> Answer:
    """A market that is asked for nothing but this."""
    said = {"/run": json.dumps(run), "/clock": json.dumps({"pace_s": pace_s}), "/metrics": METRICS}
    return lambda path, _: (200, said.get(path, "{}"))


def said_to(run: dict[str, Any], *, clock_s: float = 0.5, **plan: Any) -> EnergyMarketError:
    """What is said to a plan when the market says this of itself."""
    made = replace(LoadPlan(amqp_url="amqp://127.0.0.1:1/v", homes=90, fleets=3), **plan)
    answer = market_that_says(run, clock_s)
    with api(answer) as market, pytest.raises(EnergyMarketError) as said:
        check_system(made, market)
    return said.value


def test_a_system_that_can_take_the_load_is_taken(broker: str) -> None:
    with api(market_that_says(RUN)) as market:
        facts = check_system(LoadPlan(amqp_url=broker, homes=90, fleets=3, pace_s=1.0), market)
    assert (facts.run, facts.homes) == ("9a39b7a5a8de9da7", 7)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"finished": True}, "the run has ended at tick 40, and settles no more"),
        ({"role": "standby"}, "this market stands by for another"),
    ],
)
def test_a_market_that_settles_nothing_is_refused(changes: dict[str, Any], sentence: str) -> None:
    error = said_to(RUN | changes)
    assert isinstance(error, LoadFailed)
    assert str(error).startswith(sentence)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ({"pace_s": 0.1}, "--pace is 0.1 s and the market's own is 0.5 s a tick"),
        ({"pace_s": 0.5}, "--pace is 0.5 s and the market's own is 0.5 s a tick"),
        ({"pace_s": 1.0, "clock_s": 1.5}, "--pace is 1 s and the market's own is 1.5 s a tick"),
        ({"pace_s": 2.0}, "--pace is 2 s and the market waits 2 s for orders"),
        ({"homes": 300, "homes_per_message": 2}, "153 messages of orders a tick are more than"),
    ],
)
def test_a_plan_that_this_market_cannot_keep_up_with_is_refused(
    plan: dict[str, Any], sentence: str
) -> None:
    error = said_to(RUN, **plan)
    assert isinstance(error, SettingsError)
    assert str(error).startswith(sentence)


def test_who_is_asked_for_a_token_says_so_and_sends_the_one_it_has() -> None:
    def answer(path: str, authorisation: str | None) -> tuple[int, str]:
        assert authorisation == "Bearer sesame"
        return 401, "{}"

    with api(answer) as market, pytest.raises(SettingsError, match="wants a token for /run"):
        market.run()


@pytest.mark.parametrize("body", ["", "[]", "<html>", "{}"])
def test_what_is_no_market_is_told_from_one(body: str) -> None:
    with api(lambda *_: (200, body)) as found:
        for ask in (found.run, found.pace_s):
            with pytest.raises(LoadFailed, match="is --api right"):
                ask()


def test_phases_are_read_from_the_metrics_as_means_per_tick() -> None:
    with api(lambda *_: (200, METRICS)) as market:
        before = market.phases()
    after = METRICS.replace("4.0", "6.0").replace("2.0", "2.5")
    with api(lambda *_: (200, after)) as market:
        assert market.phases().per_tick_ms(before) == {"settle": 250.0}
    assert before.per_tick_ms(before) == {}
