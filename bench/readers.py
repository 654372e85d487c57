"""Benchmark ``readers``: what a thousand readers of the event stream cost a market's ticks.

Measured: an embedded run as a process, which says itself (``GET /clock``) how long its newest 200
ticks took from opening to commit, and what it used of a processor; beside it the same run that
nobody listens to. This process reads all the streams, and so takes much of a second processor.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.processes import cpu_s
from bench.report import BenchFailed, Comparison, Result, Row
from tests.servers import free_ports

ALONE: Final = "nobody"
_WINDOW_TICKS: Final = 200
_AT_ONCE: Final = 100
_LEAST_S: Final = 10.0
_LONGEST_S: Final = 120.0
_ASKED: Final = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    readers: int = 1_000
    homes: int = 20
    paces_s: Sequence[float] = (0.25, 0.0)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a run came to while so many listened; ``busy`` is its part of a processor, ``pieces``
    what one reader was sent per second."""

    clock: dict[str, Any]
    ticks_per_s: float
    busy: float
    pieces_per_s: float


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed`` when the run does not answer or a reader loses it."""
    plan = plan or Plan()
    return Result([_at_pace(plan, pace_s) for pace_s in plan.paces_s])


def _at_pace(plan: Plan, pace_s: float) -> Comparison:
    crowd = f"{plan.readers:,} readers"
    found = {}
    for column, readers in ((crowd, plan.readers), (ALONE, 0)):
        with _market(plan.homes, pace_s) as (pid, port):
            found[column] = asyncio.run(_listened_to(pid, port, readers))
    rows = [
        Row(f"tick, {name}", "ms", {column: each.clock[key] for column, each in found.items()})
        for name, key in (("median", "tick_ms_p50"), ("p99", "tick_ms_p99"))
    ]
    for name, unit, value in (("ticks", "1/s", "ticks_per_s"), ("processor", "1", "busy")):
        rows.append(Row(name, unit, {col: getattr(each, value) for col, each in found.items()}))
    rows.append(Row("pieces to a reader", "1/s", {crowd: found[crowd].pieces_per_s}))
    title = f"{plan.homes} homes, {f'pace {pace_s:g} s' if pace_s else 'no pace'}"
    return Comparison(title, [crowd, ALONE], rows, floor=ALONE)


@contextmanager
def _market(homes: int, pace_s: float) -> Iterator[tuple[int, int]]:
    """An embedded run as (process id, port)."""
    (port,) = free_ports(1)
    options = ["run", "--headless", "--homes", homes, "--pace", pace_s, "--port", port]
    process = subprocess.Popen(
        [sys.executable, "-c", "from lab.cli import app; app()", *map(str, options)],
        env={**os.environ, "PYTHONPATH": os.getcwd()},
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process.pid, port
    finally:
        process.terminate()
        process.wait()


async def _listened_to(pid: int, port: int, readers: int) -> _Heard:
    """The run while so many listen, over the newest ticks after the last of them has come."""
    deadline = time.monotonic() + _LONGEST_S
    while await _tick(port) < 1:
        await _wait(deadline)
    pieces = [0]
    tasks: list[asyncio.Task[None]] = []
    for start in range(0, readers, _AT_ONCE):
        coming = range(start, min(start + _AT_ONCE, readers))
        opened = await asyncio.gather(*(_asked(port) for _ in coming))
        tasks += [asyncio.create_task(_read(*connection, pieces)) for connection in opened]
    first, cpu_before_s, pieces[0] = await _tick(port), cpu_s([pid]), 0
    begun = time.monotonic()
    while (
        tick := await _tick(port)
    ) < first + _WINDOW_TICKS or time.monotonic() < begun + _LEAST_S:
        await _wait(deadline)
    elapsed_s = time.monotonic() - begun
    clock = await asyncio.to_thread(_get, port)
    busy = (cpu_s([pid]) - cpu_before_s) / elapsed_s
    if any(task.done() for task in tasks):
        raise BenchFailed("a reader lost its stream")
    for task in tasks:
        task.cancel()
    told_per_s = pieces[0] / max(readers, 1) / elapsed_s
    return _Heard(clock, (tick - first) / elapsed_s, busy, told_per_s)


async def _asked(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_ASKED)
    await reader.readuntil(b"event: clock")
    return reader, writer


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pieces: list[int]
) -> None:
    while await reader.read(2**18):
        pieces[0] += 1
    writer.close()


async def _tick(port: int) -> int:
    try:
        tick: int = (await asyncio.to_thread(_get, port))["tick"]
    except OSError:
        return 0
    return tick


def _get(port: int) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/clock", timeout=10) as answer:
        clock: dict[str, Any] = json.load(answer)
    return clock


async def _wait(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise BenchFailed("the run does not come on")
    await asyncio.sleep(0.5)
