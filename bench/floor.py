"""The floor of the benchmark ``orders``: orders answered by a consumer that computes nothing.

``floor.c`` is both its homes and its market, compiled where a C compiler and librabbitmq are there;
``bench.bare_consumer`` is the same market in pika, for the same homes.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed

from bench import bare_consumer, bare_loop
from bench.processes import Kinds, cpu_by_kind
from bench.report import BenchFailed
from bench.servers import Servers
from energymarket.bus.amqp_topology import declare
from energymarket.codec import encode
from energymarket.topology import market_topology

MARKET, HOMES, BROKER = "market", "homes", "broker"
TO_INSTALL: Final = "on Debian or Ubuntu: apt-get install gcc librabbitmq-dev"

_SOURCE: Final = Path(__file__).with_name("floor.c")
_COMPILERS: Final = ("cc", "gcc", "clang")
_LONGEST_TROUBLE: Final = 1_500
_PATIENCE_S: Final = 60.0


class CannotCompile(Exception):
    """There is no program; the text says why."""


@dataclass(frozen=True, slots=True)
class Load:
    """Homes in fleets of one size, on the connections of so many processes; each has one order on
    its way. What is answered in ``span_s`` counts, after ``warm_up_s``."""

    homes: int
    fleets: int
    processes: int
    warm_up_s: float
    span_s: float


@dataclass(frozen=True, slots=True)
class Streamed:
    """Orders answered per second, and processor time per order of all processes of a kind."""

    orders_per_s: float
    cpu_us: Mapping[str, float]


def compiled(folder: Path) -> Path:
    """The program, new in ``folder``; raises ``CannotCompile``."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise CannotCompile("there is no C compiler")
    program = folder / "floor"
    done = subprocess.run(
        [compiler, "-O2", str(_SOURCE), "-lrabbitmq", "-o", str(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        raise CannotCompile(done.stderr[-_LONGEST_TROUBLE:])
    return program


def measured_floor(
    servers: Servers, load: Load, prefetch: int, program: Path, *, in_pika: bool = False
) -> Streamed:
    """``program`` as the homes, and as the market too unless that is ``bare_consumer``.

    Raises ``BenchFailed``.
    """
    fleets = [secrets.token_hex(16) for _ in range(load.fleets)]
    answer, order = servers.folder / "answer", servers.folder / "order"
    answer.write_bytes(encode(bare_loop.receipts(fleets[0])))
    order.write_bytes(encode(bare_loop.order(fleets[0]).message))
    _declare(servers.rabbit.url, prefetch)
    url = servers.rabbit.url
    market = [str(program), "market", url, str(prefetch), str(answer)]
    environment: dict[str, str] = {}
    if in_pika:
        market = [sys.executable, "-m", "bench.bare_consumer"]
        environment = {
            bare_loop.AMQP_URL: url,
            bare_consumer.PREFETCH: str(prefetch),
            bare_consumer.ANSWER: str(answer),
        }
    with ExitStack() as stack:
        consumer = stack.enter_context(_talking(market, environment))
        consumer.hear("ready")
        homes = []
        for number in range(load.processes):
            own = fleets[number :: load.processes]
            if own:
                each = load.homes // load.fleets
                words = [each, load.warm_up_s, load.span_s, order, *own]
                command = [str(program), "homes", url, *map(str, words)]
                homes.append(stack.enter_context(_talking(command, {})))
        kinds = {
            MARKET: [consumer.pid],
            HOMES: [each.pid for each in homes],
            BROKER: [servers.rabbit.pid],
        }
        found = _measured(homes, kinds)
        consumer.must_live()
        return found


def _declare(url: str, prefetch: int) -> None:
    """The market's exchanges and queues, as the market declares them."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    declare(connection.channel(), market_topology(prefetch))
    connection.close()


def _measured(homes: Sequence[_Talking], kinds: Kinds) -> Streamed:
    """All begin at the same moment, so that their spans are one."""
    for each in homes:
        each.hear("ready")
    for each in homes:
        each.go_on()
    for each in homes:
        each.hear("begin")
    before = cpu_by_kind(kinds)
    ends = [each.hear("end").split() for each in homes]
    after = cpu_by_kind(kinds)
    for each in homes:
        each.go_on()
    orders = sum(int(count) for _, count, _ in ends)
    if not orders:
        raise BenchFailed("not one order was answered")
    return Streamed(
        orders_per_s=sum(int(count) / float(seconds) for _, count, seconds in ends),
        cpu_us={kind: 1e6 * (after[kind] - before[kind]) / orders for kind in kinds},
    )


class _Talking:
    """A process that says line by line how far it is, and goes on when it is told a line."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process, self._name = process, name

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self, word: str) -> str:
        """The next line, which begins with ``word``; raises ``BenchFailed`` when none comes."""
        assert self._process.stdout
        watchdog = threading.Timer(_PATIENCE_S, self._process.kill)
        watchdog.start()
        line = self._process.stdout.readline()
        watchdog.cancel()
        if not line.startswith(word):
            raise BenchFailed(f"{self._name} did not say {word!r}, but {line!r}")
        return line

    def must_live(self) -> None:
        """Raises ``BenchFailed`` with its last words when it has ended."""
        if self._process.poll() is not None:
            assert self._process.stdout
            raise BenchFailed(f"{self._name} ended: {self._process.stdout.read()}")

    def go_on(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()


@contextmanager
def _talking(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[_Talking]:
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        bufsize=1,
    )
    try:
        yield _Talking(process, Path(command[0]).name)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()
