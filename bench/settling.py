"""Benchmark ``settle``: what an order costs the market, in ticks of 20 to a million homes.

Measured: the processor time of the market's turns in an embedded run. It decodes the orders, takes
and settles them, writes the tick to a ledger in a file, and encodes the receipts. A wait for the
disk is no processor time. The least of several stretches of ticks counts: a busy machine only adds.

Beside it stands a market that decides nothing: it decodes and encodes messages of the same homes,
hashes a record of the same size and commits it, in as few calls as it takes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.bare_loop import committer
from bench.report import Comparison, Result, Row, at_most
from energymarket import telemetry
from energymarket.codec import decode, encode
from energymarket.messages import Receipts, Requests
from lab.embedded import EmbeddedRun, WorldPlan
from services.market.answers import ReceiptWriter
from services.market.domain import record
from services.market.domain.rules import Rules
from services.market.tick_cycle import Tempo

OURS: Final = "market"
FLOOR: Final = "nothing decided"
_SEED: Final = 42
_MOST_TIMES_FLAT: Final = 1.5
_HOMES_OF_A_FLEET: Final = 25_000
"""So many have their receipts in a message of a few MB."""


@dataclass(frozen=True, slots=True)
class Case:
    """A number of homes, in how many processes, and how far they are run: in each of ``stretches``
    so many ``ticks``."""

    homes: int
    fleets: int
    ticks: int
    stretches: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: ``few`` by the tick, ``many`` by the order."""

    few: Case = Case(20, 20, 100, 20)
    many: tuple[Case, ...] = (
        Case(1_000, 1, 50, 20),
        Case(10_000, 1, 5, 20),
        Case(100_000, 100_000 // _HOMES_OF_A_FLEET, 1, 10),
        Case(1_000_000, 1_000_000 // _HOMES_OF_A_FLEET, 1, 3),
    )


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor time of a tick, in seconds: the market's, and that of what decides nothing."""

    ours_s: float
    floor_s: float

    def row(self, name: str, unit: str, units_per_s: float) -> Row:
        return Row(name, unit, {OURS: self.ours_s * units_per_s, FLOOR: self.floor_s * units_per_s})


def run(plan: Plan | None = None) -> Result:
    """Measures."""
    plan = plan or Plan()
    few = _cost(plan.few)
    costs = {case.homes: _cost(case) for case in plan.many}
    orders_ns = {homes: 1e9 * cost.ours_s / homes for homes, cost in costs.items()}
    flat = max(orders_ns.values()) / min(orders_ns.values())
    return Result(
        [
            Comparison(
                title="Processor time of the market",
                columns=(OURS, FLOOR),
                rows=[
                    few.row(f"{plan.few.homes} homes, a process each", "us/tick", 1e6),
                    *(
                        cost.row(f"{homes:,} homes", "ns/order", 1e9 / homes)
                        for homes, cost in costs.items()
                    ),
                    Row(
                        "dearest / cheapest order",
                        "times",
                        {OURS: flat},
                        at_most(_MOST_TIMES_FLAT),
                    ),
                ],
                floor=FLOOR,
                notes=(f"{FLOOR}: decode, encode, hash and commit alone, of the same sizes",),
            )
        ]
    )


def _cost(case: Case) -> Cost:
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as folder:
        world = _world(case, Path(folder))
        ours_s = _least(case, lambda: _market_s(world))
        floor_s = _least(case, _nothing_decided(world, Path(folder)))
        world.stop()
    return Cost(ours_s, floor_s)


def _world(case: Case, folder: Path) -> EmbeddedRun:
    """A world past its first ticks."""
    log = telemetry.configure("bench", level="warning", form="text", stream=sys.stderr)
    plan = WorldPlan(
        homes=case.homes,
        fleets=case.fleets,
        rules=Rules(_SEED),
        ledger_url=f"sqlite:///{folder}/ledger.db",
        tempo=Tempo(tick_s=0, deadline_s=0, start_homes=case.homes),
    )
    world = EmbeddedRun(plan, log=log)
    world.start()
    while world.market.books.tick < case.ticks + 1:
        world.step()
    return world


def _least(case: Case, tick_s: Callable[[], float]) -> float:
    """The time of a tick in the quickest stretch."""
    stretches = (sum(tick_s() for _ in range(case.ticks)) for _ in range(case.stretches))
    return min(stretches) / case.ticks


def _market_s(world: EmbeddedRun) -> float:
    """Runs the world to its next tick; the time of the market's turns."""
    tick, spent_s = world.market.books.tick, 0.0
    while world.market.books.tick == tick:
        for service, bus in world.members:
            begun = time.process_time()
            world.turn(service, bus)
            if service is world.market:
                spent_s += time.process_time() - begun
    return spent_s


def _nothing_decided(world: EmbeddedRun, folder: Path) -> Callable[[], float]:
    """A tick in which nothing is decided: each call gives its time."""
    settled = world.market.books.last
    assert settled is not None
    writer = ReceiptWriter("bench", settled)
    fleets = world.market.books.membership.members()
    receipts = [writer.receipts(fleet) for fleet in fleets]
    orders = [encode(_order(message)) for message in receipts]
    stored = record.to_bytes(settled)
    commit = committer(f"{folder}/floor.db", len(stored))

    def tick_s() -> float:
        begun = time.process_time()
        for body in orders:
            decode(body)
        sha256(stored).digest()
        commit()
        for message in receipts:
            encode(message)
        return time.process_time() - begun

    return tick_s


def _order(receipts: Receipts) -> Requests:
    """An order of about the size of those that these receipts answer."""
    energy_wh = receipts.stock_wh
    return Requests(
        run=receipts.run,
        fleet=receipts.fleet,
        secret="0" * 32,
        tick=receipts.tick,
        home=receipts.home,
        policy=receipts.present,
        amount_wh=receipts.bought_wh,
        produced_wh=energy_wh,
        consumed_wh=energy_wh,
        stock_wh=energy_wh,
        capacity_wh=energy_wh,
    )
