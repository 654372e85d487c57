"""Benchmark ``distributed``: the whole system as processes over a real RabbitMQ and Redis.

Measured: 20 home processes of one home each, weather, external and the market, started as their
users start them, on servers of their own; pace 0, no deadline, the ledger synced each tick. Ticks
per second and tick durations come from the moments that the ledger keeps, processor time and memory
from ``/proc``, the phases of a tick from the market's own histograms.

Beside it, over the same broker: the same processes, queues and messages with nothing computed
(``bench.bare_loop``), and what one writes in an afternoon (``bench.afternoon``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from bench.measured_run import Measured, Span
from bench.peers import BROKER, HOME_PROCESSES, LISTENERS, MARKET, measured_peer
from bench.real_system import (
    REDIS,
    Phases,
    home_processes,
    server_versions,
    where_it_can_be_measured,
)
from bench.report import Comparison, Result, Row, at_least
from bench.servers import Servers, fresh_servers

TICKS_PER_S_WANTED = 60

OURS = "energymarket"
QUIET = "no log"
FLOOR = "bare loop"
PEER = "afternoon's"

_PHASES = ("collect", "settle", "commit", "answer")


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
    chosen = plan or Plan()
    return where_it_can_be_measured(lambda: _compared(chosen))


def _compared(plan: Plan) -> Result:
    span = Span(plan.warm_up_ticks, plan.ticks)
    peer_span = Span(plan.peer_warm_up_ticks, plan.peer_ticks)
    with fresh_servers() as servers:
        ours, phases_ms = _market(servers, plan.homes, span, "info")
        versions = server_versions(servers)
    with fresh_servers() as servers:
        floor = _peer("bench.bare_loop", servers, plan.homes, span)
    with fresh_servers() as servers:
        quiet, _ = _market(servers, plan.homes, span, "warning")
    with fresh_servers() as servers:
        peer = _peer("bench.afternoon", servers, plan.homes, peer_span)
    runs = {OURS: ours, FLOOR: floor, QUIET: quiet, PEER: peer}
    return Result([_speed(plan, runs), _phases(ours, phases_ms), _memory(runs)], versions)


# ------------------------------------------------------------------------------------- measuring


def _market(
    servers: Servers, homes: int, span: Span, log_level: str
) -> tuple[Measured, dict[str, float]]:
    """The real system, and the mean time of each phase of its ticks in milliseconds."""
    phases = Phases()
    found = home_processes(servers, homes, span, log_level=log_level, at_the_ends=phases.look_up)
    means_ms = phases.means_ms()
    return found, {name: means_ms[name] for name in _PHASES if name in means_ms}


def _peer(module: str, servers: Servers, homes: int, span: Span) -> Measured:
    return measured_peer(
        module,
        url=servers.rabbit.url,
        broker_pid=servers.rabbit.pid,
        folder=servers.folder,
        homes=homes,
        span=span,
    )


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
