"""Benchmark ``distributed``: the whole system as processes over a real RabbitMQ and Redis.

Measured: 20 home processes of one home each, weather, external and the market, started as their
users start them, on servers of their own; pace 0, no deadline, the ledger synced each tick. Ticks
per second and tick durations come from the moments that the ledger keeps, processor time and memory
from ``/proc``, the phases of a tick from the market's own histograms.

Beside it, over the same broker: the same processes, queues and messages with nothing computed
(``bench.bare_loop``), and what one writes in an afternoon (``bench.afternoon``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bench import machine
from bench.measured_run import Measured, Span, measured
from bench.peers import BROKER, HOME_PROCESSES, LISTENERS, MARKET, measured_peer
from bench.processes import children_named
from bench.report import BenchFailed, Comparison, Result, Row, at_least
from bench.servers import Servers, fresh_servers
from tests.system.processes import System, system

TICKS_PER_S_WANTED = 60

OURS = "energymarket"
QUIET = "no log"
FLOOR = "bare loop"
PEER = "afternoon's"
REDIS = "redis"

_PHASES = ("collect", "settle", "commit", "answer")
_PHASE_SECONDS = "energymarket_tick_phase_seconds"
_LONGEST_TROUBLE = 1_500


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; the afternoon's version is slow, and gets fewer ticks."""

    homes: int = 20
    warm_up_ticks: int = 50
    ticks: int = 600
    peer_warm_up_ticks: int = 10
    peer_ticks: int = 100


def run(plan: Plan | None = None) -> Result:
    """Measures; raises ``BenchFailed``. Without RabbitMQ, Redis or ``/proc`` it says so."""
    plan = plan or Plan()
    if not Path("/proc/self/smaps_rollup").exists():
        return Result(skipped="processor time and memory are read from /proc, as Linux has it")
    try:
        return _compared(plan)
    except pytest.fail.Exception as missing:  # the servers are those of the tests
        return Result(skipped=str(missing))


def _compared(plan: Plan) -> Result:
    span = Span(plan.warm_up_ticks, plan.ticks)
    peer_span = Span(plan.peer_warm_up_ticks, plan.peer_ticks)
    with fresh_servers() as servers:
        ours, phases_ms = _market(servers, plan.homes, span, "info")
        versions = {"rabbitmq": servers.rabbit.ctl("version").strip()}
    with fresh_servers() as servers:
        floor = _peer("bench.bare_loop", servers, plan.homes, span)
    with fresh_servers() as servers:
        quiet, _ = _market(servers, plan.homes, span, "warning")
    with fresh_servers() as servers:
        peer = _peer("bench.afternoon", servers, plan.homes, peer_span)
    if redis_version := machine.redis_version():
        versions["redis"] = redis_version
    runs = {OURS: ours, FLOOR: floor, QUIET: quiet, PEER: peer}
    return Result([_speed(plan, runs), _phases(ours, phases_ms), _memory(runs)], versions)


# ------------------------------------------------------------------------------------- measuring


def _market(
    servers: Servers, homes: int, span: Span, log_level: str
) -> tuple[Measured, dict[str, float]]:
    """The real system, and the mean time of each phase of its ticks in milliseconds.

    The phases come from the API, whose address stands in the log: at ``info`` only.
    """
    with system(servers.rabbit, servers.redis, servers.folder) as running:
        kinds = {
            MARKET: [_start(running, "market", log_level, start_homes=homes)],
            HOME_PROCESSES: [_start(running, "home", log_level) for _ in range(homes)],
            LISTENERS: [_start(running, name, log_level) for name in ("weather", "external")],
            BROKER: [servers.rabbit.pid],
            REDIS: children_named("redis-server"),
        }
        phases: list[dict[str, float]] = []
        found = measured(
            running.ledger,
            span,
            kinds,
            trouble=lambda: _trouble(running),
            at_the_ends=lambda: phases.append(_phase_totals(running.processes[0].text())),
        )
    return found, _phase_means_ms(*phases)


def _start(running: System, name: str, log_level: str, **settings: object) -> int:
    if name == "market":
        settings |= {"tick_seconds": 0, "tick_deadline_seconds": 0, "port": 0}
    return running.start(name, log_level=log_level, **settings).pid


def _trouble(running: System) -> str:
    """The last words of services that have ended; none should."""
    ended = [process for process in running.processes if not process.running]
    return "\n".join(f"{each.log.name}: {each.text()[-_LONGEST_TROUBLE:]}" for each in ended)


def _peer(module: str, servers: Servers, homes: int, span: Span) -> Measured:
    return measured_peer(
        module,
        url=servers.rabbit.url,
        broker_pid=servers.rabbit.pid,
        folder=servers.folder,
        homes=homes,
        span=span,
    )


def _phase_totals(market_log: str) -> dict[str, float]:
    """Sums and counts of the phase histograms so far; empty where the log names no API."""
    address = re.search(r"market on (http://[^\s]+)", market_log)
    if address is None:
        return {}
    try:
        answer = httpx.get(f"{address[1]}/metrics", trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise BenchFailed(f"the market's /metrics: {error}") from error
    return {
        f"{sample.labels['phase']}{sample.name.removeprefix(_PHASE_SECONDS)}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name in (f"{_PHASE_SECONDS}_sum", f"{_PHASE_SECONDS}_count")
    }


def _phase_means_ms(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    means = {}
    for phase in _PHASES:
        count = after.get(f"{phase}_count", 0) - before.get(f"{phase}_count", 0)
        if count:
            means[phase] = 1_000 * (after[f"{phase}_sum"] - before[f"{phase}_sum"]) / count
    return means


# --------------------------------------------------------------------------------------- showing


def _speed(plan: Plan, runs: Mapping[str, Measured]) -> Comparison:
    def row(name: str, unit: str, figure: Callable[[Measured], float | None]) -> Row:
        return Row(name, unit, {kind: figure(run) for kind, run in runs.items()})

    def cpu_row(kind: str) -> Row:
        return row(f"CPU, {kind}", "ms/tick", lambda run: run.cpu_ms.get(kind))

    speed = row("speed", "ticks/s", lambda run: run.pace.ticks_per_s)
    return Comparison(
        title=f"Distributed run, {plan.homes} home processes, pace 0, {plan.ticks} ticks "
        f"after the first {plan.warm_up_ticks}",
        columns=(OURS, FLOOR, QUIET, PEER),
        rows=[
            replace(speed, target=at_least(TICKS_PER_S_WANTED)),
            row("tick, p50", "ms", lambda run: run.pace.p50_ms),
            row("tick, p99", "ms", lambda run: run.pace.p99_ms),
            *(cpu_row(kind) for kind in (MARKET, HOME_PROCESSES, LISTENERS, BROKER, REDIS)),
            row("CPU, all", "ms/tick", lambda run: run.all_cpu_ms),
            row("CPU, all", "cores busy", lambda run: run.busy_cores),
        ],
        floor=FLOOR,
        notes=(
            f"{QUIET}: log level warning instead of info",
            f"{FLOOR}: the same processes, queues, messages and one synced commit a tick; nothing "
            "computed, no Redis, no log, no API",
            f"{PEER} version: BlockingConnection, json, acknowledged one by one, a commit per "
            f"order; nothing confirmed; {plan.peer_ticks} ticks",
        ),
    )


def _phases(ours: Measured, phases_ms: Mapping[str, float]) -> Comparison:
    tick_ms = 1_000 / ours.pace.ticks_per_s
    rest_ms = tick_ms - sum(phases_ms.values())
    return Comparison(
        title="Where the market's tick goes, on average",
        columns=("ms", "share"),
        rows=[
            Row(name, "", {"ms": ms, "share": ms / tick_ms})
            for name, ms in {**phases_ms, "all else": rest_ms, "tick": tick_ms}.items()
        ],
        notes=("collect: from the opening of the tick until the last order is in",),
    )


def _memory(runs: Mapping[str, Measured]) -> Comparison:
    ours = runs[OURS].memory
    kinds = {HOME_PROCESSES: "home", LISTENERS: "weather, external"}
    return Comparison(
        title="Memory of a process",
        columns=("resident", "resident, bare loop", "shared pages divided"),
        rows=[
            Row(
                kinds.get(kind, kind),
                "MiB",
                {
                    "resident": found.rss_mib,
                    "resident, bare loop": floor.rss_mib if floor else None,
                    "shared pages divided": found.pss_mib,
                },
            )
            for kind, found in ours.items()
            for floor in [runs[FLOOR].memory.get(kind)]
        ],
        floor="resident, bare loop",
    )
