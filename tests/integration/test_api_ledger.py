"""``/ledger``: the whole ledger as one file, sound, without secrets, and without a trace."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.verify import verify
from services.market.ledger import copying
from tests.live_api import TOKEN, LiveApi, problem_in
from tests.world import World

AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[LiveApi]:
    (tmp_path / "market").mkdir()
    live = LiveApi(World(f"sqlite:///{tmp_path}/market/ledger.db", homes=4), stalled_s=0.5)
    live.world.turn_until_tick(20)
    yield live
    live.close()


def download(api: LiveApi) -> httpx.Response:
    return api.client.get("/ledger", headers=AUTHORISED)


def saved(answer: httpx.Response, folder: Path) -> Path:
    assert answer.status_code == 200, answer.text
    file = folder / "copy.db"
    file.write_bytes(answer.content)
    return file


def test_the_file_passes_the_audit_with_the_markets_own_hash(api: LiveApi, tmp_path: Path) -> None:
    answer = download(api)
    assert answer.headers["content-disposition"] == 'attachment; filename="ledger.db"'
    assert answer.headers["content-type"] == "application/vnd.sqlite3"
    verdict = verify(saved(answer, tmp_path))
    assert verdict.ticks == api.world.tick
    assert verdict.head_hash == api.get("/run")["head_hash"]


def test_a_copy_made_while_ticks_are_written_is_of_one_moment(api: LiveApi, tmp_path: Path) -> None:
    """R14: accounts, ticks and hashes fit together."""
    with api.ticking(pause_s=0):
        for _ in range(5):
            before = api.get("/run")["tick"]
            verdict = verify(saved(download(api), tmp_path))
            assert before <= verdict.ticks <= api.get("/run")["tick"]


def test_the_secret_of_the_market_is_nowhere_in_the_file(api: LiveApi) -> None:
    """Not in a row, and not in what SQLite leaves of an older one."""
    key = api.world.market.books.world.fleet_secret_key
    folder = Path(api.world.url.removeprefix("sqlite:///")).parent
    assert any(key in file.read_bytes() for file in folder.iterdir())
    first, second = download(api).content, download(api).content
    assert key not in first
    assert key not in second


def test_nothing_is_left_beside_the_ledger(api: LiveApi) -> None:
    folder = Path(api.world.url.removeprefix("sqlite:///")).parent
    before = {file.name for file in folder.iterdir()}
    assert download(api).status_code == 200
    assert {file.name for file in folder.iterdir()} == before


def test_a_ledger_in_memory_can_be_taken_home_too(tmp_path: Path) -> None:
    live = LiveApi(World("sqlite://", homes=2))
    live.world.turn_until_tick(5)
    assert verify(saved(download(live), tmp_path)).ticks == live.world.tick
    live.close()


def test_without_the_token_it_is_not_given(api: LiveApi) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        problem_in(api.client.get("/ledger", headers=headers), 401)


def test_where_there_is_no_room_no_copy_is_made(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would hold the market up."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 10**12, 2**20))
    problem = problem_in(download(api), 503)
    assert "1 MiB are free" in problem["detail"]


def test_one_copy_is_made_at_a_time_and_given_up_when_the_market_ends(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()
    fill = copying._fill

    def slowly(database: object, path: Path, give_up: object) -> None:
        begun.set()
        assert callable(give_up)
        while not give_up():
            time.sleep(0.01)
        fill(database, path, give_up)  # type: ignore[arg-type]

    monkeypatch.setattr(copying, "_fill", slowly)
    first = threading.Thread(target=lambda: _ignoring_its_end(api))
    first.start()
    assert begun.wait(10)
    problem = problem_in(download(api), 503)
    assert "another copy" in problem["detail"]
    api.server.stop()
    first.join(10)
    assert not first.is_alive()
    folder = Path(api.world.url.removeprefix("sqlite:///")).parent
    deadline = time.monotonic() + 10
    while any("copy" in file.name for file in folder.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _ignoring_its_end(api: LiveApi) -> None:
    with httpx.Client(base_url=api.server.url, timeout=20, trust_env=False) as client:
        try:
            client.get("/ledger", headers=AUTHORISED)
        except httpx.TransportError:
            return


def test_who_does_not_take_the_file_does_not_keep_it(
    api: LiveApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is cut off, and the room on the disk is free again."""
    large = tmp_path / "large"
    large.write_bytes(bytes(16 * 2**20))
    files = []

    def given(*_: object) -> object:
        files.append(large.open("rb"))
        return files[-1]

    monkeypatch.setattr(copying, "copied", given)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect(("127.0.0.1", api.server.port))
        asked = f"GET /ledger HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
        reader.sendall(asked.encode())
        deadline = time.monotonic() + 30
        while not (files and files[0].closed):
            assert time.monotonic() < deadline
            time.sleep(0.01)
