"""Many readers of ``/stream``, and readers that do not read: what they cost, and their end."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from services.market.api import news
from services.market.api.feed import PIECE_BYTES
from services.market.api.line import Line
from services.market.ledger import Headline
from tests.live_api import TOKEN, LiveApi
from tests.servers import free_ports
from tests.world import World

CROWD = 1_000
TICKS = re.compile(rb"event: tick\ndata: (.*)\nid: (\d+)\n")


@pytest.fixture
def api() -> Iterator[LiveApi]:
    live = LiveApi(World("sqlite://"), stalled_s=0.5)
    live.world.turn_until_tick(5)
    yield live
    live.close()


def ask(
    port: int, *, heard: str = "", receive_buffer: int = 0, version: str = "1.1"
) -> socket.socket:
    """A connection on which the stream was asked for."""
    connection = socket.socket()
    if receive_buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", port))
    header = f"Last-Event-ID: {heard}\r\n" if heard else ""
    connection.sendall(f"GET /stream HTTP/{version}\r\nHost: x\r\n{header}\r\n".encode())
    return connection


def until(what: str, true: object) -> None:
    """Waits until ``true()``; fails when it never is."""
    assert callable(true)
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


async def crowd(api: LiveApi, readers: int, ticks: int) -> list[list[bytes]]:
    """What each of so many readers was told of the same ticks, all of them being there before."""
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def come() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", api.server.port)
        opened.append((reader, writer))
        writer.write(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"event: clock")

    async def hear(reader: asyncio.StreamReader, wanted: range) -> list[bytes]:
        heard: dict[int, bytes] = {}
        while wanted[-1] not in heard:
            for data, number in TICKS.findall(await reader.readuntil(b"\n\n")):
                heard[int(number)] = data
        return [heard[tick] for tick in wanted]

    for _ in range(0, readers, 100):
        await asyncio.gather(*(come() for _ in range(100)))
    first = api.world.tick + 3
    wanted = range(first, first + ticks)
    told = await asyncio.gather(*(hear(reader, wanted) for reader, _ in opened))
    for _, writer in opened:
        writer.close()
    return list(told)


def test_a_thousand_readers_are_told_the_same_and_each_tick_is_put_into_bytes_once(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the market's own thread, which makes the ticks, has no part in it."""
    made: list[int] = []
    of_tick = news.of_tick

    def counted(line: Headline, *rest: object) -> bytes:
        made.append(line.row.tick)
        return of_tick(line, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(news, "of_tick", counted)
    with api.ticking(pause_s=0.05):
        told = asyncio.run(crowd(api, CROWD, ticks=5))
    assert len(told) == CROWD
    assert len({tuple(each) for each in told}) == 1
    assert len(made) == len(set(made)) >= 5


def test_who_waits_for_news_is_told_without_waking_its_answer_in_whole_chunks(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after it had been far behind; the client fails on anything that is no chunk."""
    at_once: list[bytes] = []
    write = Line.write

    def counted(line: Line, body: bytes) -> None:
        at_once.append(body)
        write(line, body)

    monkeypatch.setattr(Line, "write", counted)
    last = b"id: 40\n"
    with (
        api.ticking(pause_s=0.02),
        httpx.stream("GET", f"{api.server.url}/stream?from_tick=1", trust_env=False) as answer,
    ):
        assert answer.headers["transfer-encoding"] == "chunked"
        (told,) = _texts(answer, last)
    assert [int(number) for _, number in TICKS.findall(told)][:40] == list(range(1, 41))
    assert sum(len(TICKS.findall(body)) for body in at_once) > 10


def test_a_reader_that_speaks_an_older_http_is_told_the_same_and_not_in_chunks(
    api: LiveApi,
) -> None:
    with api.ticking(pause_s=0.02), ask(api.server.port, heard="0", version="1.0") as connection:
        told = b""
        while b"id: 30\n" not in told:
            told += connection.recv(65_536)
    head, _, body = told.partition(b"\r\n\r\n")
    assert b"chunked" not in head
    assert b"\r\n" not in body
    assert [int(number) for _, number in TICKS.findall(body)][:30] == list(range(1, 31))


def test_a_process_that_may_have_few_files_open_asks_for_more() -> None:
    """A thousand is what most systems give it at first."""
    code = """
import resource
from services.market.api.server import MAX_CONNECTIONS, connections_at_once
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, most))
assert connections_at_once() == MAX_CONNECTIONS
assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > MAX_CONNECTIONS
resource.setrlimit(resource.RLIMIT_NOFILE, (1_024, 1_024))
assert 512 < connections_at_once() < 1_024
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_reader_that_does_not_read_is_cut_off_and_what_waits_for_it_is_bounded(
    api: LiveApi,
) -> None:
    """Another one gets all of it meanwhile."""
    api.world.turn_until_tick(1_500)
    feed = api.app.state.feed
    stuck = ask(api.server.port, heard="0", receive_buffer=4_096)
    until("the reader", lambda: len(feed._readers) == 1)
    with httpx.stream("GET", f"{api.server.url}/stream?from_tick=1", trust_env=False) as other:
        heard = sum(len(TICKS.findall(text)) for text in _texts(other, b"id: 1500\n"))
        assert heard == 1_500
    until("nobody to be left", lambda: not feed._readers)
    sent = 0
    try:
        while some := stuck.recv(65_536):
            sent += len(some)
    except ConnectionResetError:
        pass
    stuck.close()
    everything = sum(len(frame) for frame in _frames(api))
    assert sent < everything / 2
    assert sent < 2**20
    assert PIECE_BYTES < 2**17
    assert [line for line in api.world.log.lines if line["level"] != "info"] == []


def _texts(answer: httpx.Response, last: bytes) -> Iterator[bytes]:
    """All that comes, up to the piece that holds ``last``."""
    told = b""
    for text in answer.iter_bytes():
        told += text
        if last in told:
            break
    yield told


def _frames(api: LiveApi) -> list[bytes]:
    lines = api.world.market.history.headlines(1, 2_000, 2_000, 10**9)
    return [news.of_tick(line, (), None) for line in lines]


@contextmanager
def embedded_run(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``energymarket run`` as (process, URL); it must not end with a traceback."""
    (port,) = free_ports(1)
    command = "from lab.cli import app; app()"
    options = ["run", "--homes", "3", "--pace", "0.01", "--headless", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command, *options, "--token", TOKEN],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.getcwd()},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            until("the market", lambda: _answers(url))
            yield process, url
        finally:
            process.kill()
            process.wait()
    assert "Traceback" not in (folder / "log").read_text()


def ends_in_time(process: subprocess.Popen[bytes]) -> bool:
    """R23: SIGTERM, and gone within 3 s."""
    process.send_signal(signal.SIGTERM)
    begun = time.monotonic()
    return process.wait(30) == 0 and time.monotonic() - begun < 3


def test_a_market_ends_in_time_though_many_read_its_stream_and_some_do_not(tmp_path: Path) -> None:
    with embedded_run(tmp_path) as (process, url), ExitStack() as opened:
        until("some ticks", lambda: _tick(url) > 300)
        port = int(url.rpartition(":")[2])
        readers = [opened.enter_context(ask(port)) for _ in range(100)]
        for _ in range(20):
            opened.enter_context(ask(port, heard="0", receive_buffer=4_096))
        for reader in readers:
            assert b"200 OK" in reader.recv(4_096)
        assert ends_in_time(process)


def test_an_embedded_run_is_paused_and_stepped_and_ends_in_time_while_it_is_paused(
    tmp_path: Path,
) -> None:
    with embedded_run(tmp_path) as (process, url):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, trust_env=False) as client:
            paused = client.patch("/clock", json={"state": "paused"})
            assert paused.json()["state"] == "paused"
            until("rest", lambda: client.get("/readyz").json()["waiting_for"] == ["clock"])
            rested_at = _tick(url)
            assert client.post("/clock/step", json={"ticks": 3}).status_code == 200
            until("three ticks", lambda: _tick(url) == rested_at + 3)
            until("rest", lambda: client.get("/readyz").json()["waiting_for"] == ["clock"])
            assert _tick(url) == rested_at + 3
        assert ends_in_time(process)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def _tick(url: str) -> int:
    tick: int = httpx.get(f"{url}/run", trust_env=False).json()["tick"]
    return tick
