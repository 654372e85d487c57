"""``energymarket run`` as its users start it, for a browser to look at."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.servers import free_ports

TOKEN = "a-token-for-the-page"
_START_S = 120


@contextmanager
def embedded_run(folder: Path, *options: object, until_tick: int = 1) -> Iterator[str]:
    """The address of a run with these options, once it has settled ``until_tick`` ticks."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-m", "lab.cli", "run", "--headless", "--port", str(port)]
    log = folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--token", TOKEN, *map(str, options)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for_tick(url, until_tick, process, log)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_tick(url: str, tick: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}run").json()["tick"] >= tick:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"tick {tick} was not settled in {_START_S} s:\n{log.read_text()[-2000:]}")


def set_clock(url: str, **clock: object) -> None:
    """Changes the clock of a run by its API."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.patch(f"{url}clock", json=clock, headers=headers)
    assert answer.status_code == 200, answer.text
