"""Settled orders per second of the real market under the load test's homes, and of the peer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from bench.afternoon import HOMES_EACH
from bench.bare_loop import AMQP_URL, LEDGER
from bench.bare_loop import HOMES as HOMES_IN_ALL
from bench.floor import BROKER, HOMES, MARKET, Load, Streamed
from bench.peers import processes
from bench.processes import children_running, cpu_by_kind
from bench.report import BenchFailed
from bench.servers import Servers
from energymarket.errors import SettingsError
from energymarket.runtime import StopRequest
from lab.load.account import Account
from lab.load.conductor import Conductor
from lab.load.errors import LoadFailed
from lab.load.market_api import MarketApi
from lab.load.plan import LoadPlan
from lab.load.result import Second
from tests.system.processes import System, system

WORKER = "lab.load.worker"
INPUTS = "weather, external"

_FIRST_ORDERS_S = 90.0
_LOOK_AGAIN_S = 0.05


def measured_market(
    servers: Servers, load: Load, prefetch: int, *, homes_per_message: int
) -> Streamed:
    """The market's process with weather and external, driven by ``energymarket load`` in closed
    mode; ``homes_per_message`` 0: a fleet's homes in one. Raises ``BenchFailed``."""
    plan = LoadPlan(
        amqp_url=servers.rabbit.url,
        homes=load.homes,
        fleets=load.fleets,
        homes_per_message=homes_per_message,
        seconds=load.warm_up_s + load.span_s,
        processes=load.processes,
    )
    with system(servers.rabbit, servers.redis, servers.folder) as running:
        market = running.start(
            "market",
            log_level="warning",
            tick_seconds=0,
            tick_deadline_seconds=0,
            max_orders_in_flight=prefetch,
        )
        inputs = [running.start(name, log_level="warning") for name in ("weather", "external")]
        watch = _Watch(
            {
                MARKET: [market.pid],
                BROKER: [servers.rabbit.pid],
                INPUTS: [each.pid for each in inputs],
            },
            load.warm_up_s,
        )
        _wait_for(running)
        try:
            result = Conductor(MarketApi(running.url), StopRequest(), watch).measure(plan)
        except (LoadFailed, SettingsError) as error:
            raise BenchFailed(f"{error}\n{running.logs()}") from error
    if result.refused or result.absent or result.reconnects:
        raise BenchFailed("some orders were refused or missed their tick")
    return Streamed(result.orders_per_s, watch.cpu_us(result.orders_per_s))


def _wait_for(running: System) -> None:
    """Until the market's API answers."""
    try:
        running.wait_for("the market", lambda: running.tick() >= 0)
    except AssertionError as error:
        raise BenchFailed(str(error)) from error


class _Watch:
    """Looks at processor times once a second, as the run's watcher."""

    def __init__(self, kinds: dict[str, list[int]], warm_up_s: float) -> None:
        self._kinds, self._warm_up_s = kinds, warm_up_s
        self._seen: list[tuple[float, Mapping[str, float]]] = []

    def joining(self, joined: int, fleets: int) -> None:
        """They have; nothing counts yet."""

    def second(self, second: Second, account: Account) -> None:  # noqa: ARG002 - the watcher's
        """Called when a second of the run is over."""
        if HOMES not in self._kinds:
            self._kinds[HOMES] = children_running(WORKER)
        if second.at_s >= self._warm_up_s:
            self._seen.append((second.at_s, cpu_by_kind(self._kinds)))

    def cpu_us(self, orders_per_s: float) -> dict[str, float]:
        """Per order; raises ``BenchFailed`` when the run was too short to say."""
        if len(self._seen) < 2:
            raise BenchFailed("too short a run: less than two seconds of it were looked at")
        (begun_s, before), (ended_s, after) = self._seen[0], self._seen[-1]
        orders = orders_per_s * (ended_s - begun_s)
        return {kind: 1e6 * (after[kind] - before[kind]) / orders for kind in before}


def measured_afternoon(servers: Servers, load: Load) -> Streamed:
    """The peer's market with as many homes, in as many processes: rows of its ledger per second.

    Raises ``BenchFailed``.
    """
    ledger, log = servers.folder / "ledger.db", servers.folder / "output.log"
    environment = {
        AMQP_URL: servers.rabbit.url,
        LEDGER: str(ledger),
        HOMES_IN_ALL: str(load.homes),
        HOMES_EACH: str(load.homes // load.processes),
    }
    roles = {"market": (MARKET, 1), "home": (HOMES, load.processes)}
    with processes("bench.afternoon", roles, environment, log) as (found, running):
        kinds = {**found, BROKER: [servers.rabbit.pid]}
        deadline = time.monotonic() + _FIRST_ORDERS_S
        while not _rows(ledger):
            if time.monotonic() > deadline or any(each.poll() is not None for each in running):
                raise BenchFailed(f"the afternoon's version broke down: {log.read_text()}")
            time.sleep(_LOOK_AGAIN_S)
        time.sleep(load.warm_up_s)
        begun, rows, cpu = time.monotonic(), _rows(ledger), cpu_by_kind(kinds)
        time.sleep(load.span_s)
        ended, more_rows, more_cpu = time.monotonic(), _rows(ledger), cpu_by_kind(kinds)
    orders = more_rows - rows
    if not orders:
        raise BenchFailed(f"the afternoon's version stood still: {log.read_text()}")
    return Streamed(
        orders_per_s=orders / (ended - begun),
        cpu_us={kind: 1e6 * (more_cpu[kind] - cpu[kind]) / orders for kind in kinds},
    )


def _rows(ledger: Path) -> int:
    """Orders in the peer's ledger; 0 before it is there."""
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA busy_timeout = 5000")
            return int(connection.execute("SELECT max(rowid) FROM orders").fetchone()[0] or 0)
    except sqlite3.OperationalError:  # there is no ledger yet, or no table in it
        return 0
