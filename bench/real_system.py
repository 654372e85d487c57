"""The real system for a benchmark: its services as processes, on servers that are new each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench import machine
from bench.measured_run import Measured, Span, measured
from bench.peers import BROKER, HOME_PROCESSES, LISTENERS, MARKET
from bench.processes import Kinds, children_named
from bench.report import BenchFailed, Result
from bench.servers import Servers
from energymarket.errors import EnergyMarketError
from lab.load.market_api import MarketApi, PhaseTotals
from tests.system.processes import System, system

REDIS = "redis"

_LONGEST_TROUBLE = 1_500


def server_versions(servers: Servers) -> dict[str, str]:
    """Of the two servers, by name."""
    versions = {"rabbitmq": servers.rabbit.ctl("version").strip()}
    if redis_version := machine.redis_version():
        versions["redis"] = redis_version
    return versions


def where_it_can_be_measured(measure: Callable[[], Result]) -> Result:
    """What ``measure`` finds; without RabbitMQ, Redis or ``/proc`` a result that says so."""
    if not Path("/proc/self/smaps_rollup").exists():
        return Result(skipped="processor time and memory are read from /proc, as Linux has it")
    try:
        return measure()
    except pytest.fail.Exception as missing:  # the servers are those of the tests
        return Result(skipped=str(missing))


@contextmanager
def market_at_full_speed(
    servers: Servers, homes: int, *, log_level: str = "info", market_module: str = ""
) -> Iterator[tuple[System, dict[str, list[int]]]]:
    """Market, weather and external, with no pace and no deadline, that wait for ``homes`` homes;
    and what is measured so far, by kind. ``market_module`` stands in for ``services.market``."""
    with system(servers.rabbit, servers.redis, servers.folder) as running:
        running.modules["market"] = market_module
        market = running.start(
            "market",
            log_level=log_level,
            tick_seconds=0,
            tick_deadline_seconds=0,
            start_homes=homes,
        )
        listeners = [
            running.start(name, log_level=log_level).pid for name in ("weather", "external")
        ]
        yield (
            running,
            {
                MARKET: [market.pid],
                LISTENERS: listeners,
                BROKER: [servers.rabbit.pid],
                REDIS: children_named("redis-server"),
            },
        )


def home_processes(
    servers: Servers,
    homes: int,
    span: Span,
    *,
    log_level: str = "info",
    at_the_ends: Callable[[System], None] = lambda _: None,
) -> Measured:
    """The whole system with ``homes`` processes of one home each; raises ``BenchFailed``.

    ``at_the_ends`` is called at both ends of the span.
    """
    with market_at_full_speed(servers, homes, log_level=log_level) as (running, others):
        pids = [running.start("home", log_level=log_level).pid for _ in range(homes)]
        kinds: Kinds = {**others, HOME_PROCESSES: pids}
        return measured(
            running.ledger,
            span,
            kinds,
            trouble=lambda: trouble(running),
            at_the_ends=lambda: at_the_ends(running),
        )


class Phases:
    """The market's own histograms of its phases, looked up at both ends of a span."""

    def __init__(self) -> None:
        self._looked_up: list[PhaseTotals] = []

    def look_up(self, running: System) -> None:
        """Asks the market's API; raises ``BenchFailed``."""
        try:
            self._looked_up.append(MarketApi(running.url).phases())
        except EnergyMarketError as error:
            raise BenchFailed(str(error)) from error

    def means_ms(self) -> dict[str, float]:
        """Mean time of each phase in a tick between the first look and the last."""
        return self._looked_up[-1].per_tick_ms(self._looked_up[0])


def trouble(running: System) -> str:
    """The last words of services that have ended; none should."""
    ended = [process for process in running.processes if not process.running]
    return "\n".join(f"{each.log.name}: {each.text()[-_LONGEST_TROUBLE:]}" for each in ended)
