"""The server: its port, its end, and that it disturbs neither the market nor the process."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from fastapi.responses import StreamingResponse

from energymarket.errors import PortInUse, SettingsError
from services.market.api import ApiServer, create_app
from services.market.api.connection import TURNED_AWAY_AT_ONCE, Limits
from tests.live_api import TOKEN, LiveApi, problem_in
from tests.world import World


@pytest.fixture
def world() -> Iterator[World]:
    """A market that has settled a few ticks, without a server."""
    made = World("sqlite://", homes=3)
    made.turn_until_tick(3)
    yield made
    made.kill_market()


def server_of(
    world: World, *, host: str = "127.0.0.1", port: int = 0, limits: Limits | None = None
) -> ApiServer:
    app = create_app(world.market, token=TOKEN, log=world.log.log)
    return ApiServer(app, host=host, port=port, log=world.log.log, limits=limits)


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends the connection, within some seconds, without a word."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_port_0_takes_a_free_port_and_the_url_tells_it(world: World) -> None:
    """R24: several markets on one machine need no plan."""
    first, second = server_of(world), server_of(world)
    first.start()
    second.start()
    assert first.url != second.url
    for server in (first, second):
        assert httpx.get(f"{server.url}/livez").status_code == 200
        server.stop()


def test_a_taken_port_is_one_sentence_that_names_the_setting(world: World) -> None:
    """R24: the address, and what to set."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortInUse) as caught:
            server_of(world, port=port).start()
    assert str(caught.value) == (
        f"Port {port} on 127.0.0.1 is taken by another program: set ENERGYMARKET_PORT to a free "
        f"port, or to 0 to have one picked."
    )


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host", "a..b", "x" * 70])
def test_an_address_of_another_machine_is_refused_by_name(world: World, host: str) -> None:
    """R24: variable, value, what is allowed."""
    with pytest.raises(SettingsError, match=f"ENERGYMARKET_API_HOST is '{host}'; it must be"):
        server_of(world, host=host).start()


def test_on_all_addresses_the_url_is_one_that_works_here(world: World) -> None:
    """R25: 0.0.0.0, as in a container."""
    server = server_of(world, host="0.0.0.0")
    server.start()
    assert server.url.startswith("http://127.0.0.1:")
    assert httpx.get(f"{server.url}/livez").status_code == 200
    server.stop()


def test_after_the_stop_the_port_is_free_at_once(world: World) -> None:
    """R23: a restart takes the same port."""
    server = server_of(world)
    server.start()
    httpx.get(f"{server.url}/livez")
    port = server.port
    server.stop()
    again = server_of(world, port=port)
    again.start()
    assert httpx.get(f"{again.url}/livez").status_code == 200
    again.stop()
    again.stop()  # a second time is nothing


def test_it_stops_within_a_second_whatever_is_open(world: World) -> None:
    """R23: an idle connection, a half-sent request, an answer that never ends."""
    app = create_app(world.market, token=TOKEN, log=world.log.log)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"."
            await asyncio.sleep(0.05)

    app.add_api_route("/endless", lambda: StreamingResponse(endless()), include_in_schema=False)
    server = ApiServer(app, host="127.0.0.1", port=0, log=world.log.log)
    server.start()
    address = ("127.0.0.1", server.port)
    with (
        httpx.Client(base_url=server.url) as idle,
        socket.create_connection(address) as half,
        socket.create_connection(address) as reader,
    ):
        idle.get("/livez")
        half.sendall(b"GET /price HTTP/1.1\r\nHost: x\r\n")
        reader.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in reader.recv(1_000)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 1.0
    assert not [thread for thread in threading.enumerate() if thread.name == "api"]
    assert [line for line in world.log.lines if line["level"] != "info"] == []


def test_one_too_many_is_told_so_by_a_problem_and_many_too_many_are_cut_off(world: World) -> None:
    """R25: silent connections leave the descriptors to the ledger, and the others served."""
    server = server_of(world, limits=Limits(connections=3))
    server.start()
    address = ("127.0.0.1", server.port)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(socket.create_connection(address))
        served = stack.enter_context(httpx.Client(base_url=server.url))
        assert served.get("/price").status_code == 200
        answer = httpx.get(f"{server.url}/price")
        assert problem_in(answer, 503)["detail"].startswith("too many are connected")
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["connection"] == "close"
        for _ in range(TURNED_AWAY_AT_ONCE):
            stack.enter_context(socket.create_connection(address))
        assert ended(stack.enter_context(socket.create_connection(address)))
        assert served.get("/price").status_code == 200
    server.stop()


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET /price HTTP/1.1\r\n",
        b"PATCH /clock HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "half a head", "half a body"],
)
def test_a_connection_on_which_no_whole_request_comes_is_ended(world: World, said: bytes) -> None:
    """R25: also the second time, after a request that was answered."""
    server = server_of(world, limits=Limits(connections=10, silent_s=0.3))
    server.start()
    for first in (b"", b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            if first:
                connection.sendall(first)
                told = b""
                while not told.endswith(b'{"status":"alive"}'):
                    told += connection.recv(65_536)
            connection.sendall(said)
            assert ended(connection)
    server.stop()


def test_a_connection_that_is_answered_for_long_is_not_ended(world: World) -> None:
    """R22: a reader of the stream says nothing for hours."""
    server = server_of(world, limits=Limits(connections=10, silent_s=0.2))
    server.start()
    with httpx.stream("GET", f"{server.url}/stream") as answer:
        began = time.monotonic()
        for _ in answer.iter_raw():
            if time.monotonic() - began > 0.5:
                break
            world.turn_until_tick(world.tick + 1)
    server.stop()


def test_streams_are_told_that_the_server_ends(world: World) -> None:
    """R23: a stream that looks at it ends by itself, with all that it still had to say."""
    server = server_of(world)
    server.start()
    stopping = server._stopping
    assert not stopping.is_set()
    server.stop()
    assert stopping.is_set()


def test_signals_are_left_to_the_process(world: World) -> None:
    """R23: whoever runs the market decides what SIGTERM means."""
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    server = server_of(world)
    server.start()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    server.stop()


def test_an_answer_does_not_wait_for_a_delayed_acknowledgement(world: World) -> None:
    """R25: head and body go out at once (TCP_NODELAY), or each answer would take 40 ms more."""
    server = server_of(world)
    server.start()
    with httpx.Client(base_url=server.url) as client:
        taken_s = []
        for _ in range(20):
            began = time.perf_counter()
            client.get("/livez")
            taken_s.append(time.perf_counter() - began)
    server.stop()
    assert min(taken_s) < 0.03


def test_many_read_while_the_market_goes_on(tmp_path: Path) -> None:
    """R14, R15: what one answer holds fits together, ticks never go back, nobody fails."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=6)
    world.turn_until_tick(2)
    live = LiveApi(world)
    failures: list[str] = []
    began_at = world.tick

    def read(until: float) -> None:
        newest = 0
        with httpx.Client(base_url=live.server.url, timeout=10) as client:
            while time.monotonic() < until:
                price = client.get("/price").json()
                if price["tick"] < newest:
                    failures.append(f"tick {price['tick']} after {newest}")
                newest = price["tick"]
                terms = client.get(f"/prices/{newest}").json()
                if sum(t["neur_per_wh"] for t in terms["terms"]) != price["price_neur_per_wh"]:
                    failures.append(f"terms of tick {newest}")
                page = client.get("/prices?limit=5").json()
                if [row["tick"] for row in page["prices"]] != list(
                    range(page["from_tick"], page["to_tick"])
                ):
                    failures.append(f"history {page}")
                trades = client.get("/trades").json()
                homes = client.get("/homes?sort=-balance").json()
                if trades["totals"]["given_wh"] != sum(gift["wh"] for gift in trades["gifts"]):
                    failures.append(f"trades of tick {trades['tick']}")
                if len({h["last_tick"]["tick"] for h in homes["homes"]} | {homes["tick"]}) != 1:
                    failures.append(f"homes of tick {homes['tick']}")
                if not client.get("/audit").json()["ok"]:
                    failures.append("audit")

    try:
        with live.ticking(pause_s=0):
            until = time.monotonic() + 3
            readers = [threading.Thread(target=read, args=(until,)) for _ in range(6)]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join(20)
        assert failures == []
        assert world.tick > began_at + 3
        assert world.log.saying("the API failed") == []
    finally:
        live.close()
