"""The floor of the distributed run: its processes, queues and messages, with nothing computed.

Messages go as they would if nobody had thought of sending fewer: homes hear every tick twice.

``python -m bench.bare_loop market|home|weather|external`` is one of its processes. Per tick, as in
the real one: an opened message to every queue (fanout), one order per home to a quorum queue
(persistent, confirmed), one receipt per home (direct), the orders acknowledged once the receipts
are confirmed, a settled message to every queue, a bulletin, one synced commit. Every message is
made once and sent again and again; what a message says is not looked at.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from energymarket import telemetry, topology
from energymarket.bus.port import Connected, Delivery, Publication
from energymarket.bus.rabbit import RabbitBus
from energymarket.messages import (
    Bulletin,
    Join,
    Message,
    Offers,
    Receipts,
    TickOpened,
    TickSettled,
)

AMQP_URL, LEDGER, HOMES = "BENCH_AMQP_URL", "BENCH_LEDGER", "BENCH_HOMES"
LISTENERS = ("weather", "external")

_RUN = "0123456789abcdef"
_RECORD_BYTES = 1_000  # about what a tick of 20 homes has in the real ledger
_IN_FLIGHT = 20_000
_HELLO_AGAIN_S = 0.5  # it is lost when it comes before the market's queue


def main(role: str) -> None:
    """Plays ``role`` until it is killed; where and how large comes from the environment."""
    log = telemetry.configure("bench", level="warning", form="text", stream=sys.stderr)
    bus = RabbitBus(url=os.environ[AMQP_URL], name=role, app_id="bench", log=log)
    if role == "market":
        _market(bus, int(os.environ[HOMES]), os.environ[LEDGER])
    elif role == "home":
        fleet = secrets.token_hex(16)
        bus.open(lambda: _home_topology(fleet))
        _answer(bus, _join(fleet), order(fleet))
    else:
        bus.open(lambda: topology.listener_topology(role, secrets.token_hex(16)))
        # Weather says nothing to the broker in a tick; the market only has to know that it listens.
        hello = _bulletin(LISTENERS.index(role))
        _answer(bus, hello, hello if role == "external" else None)


def _home_topology(fleet: str) -> topology.Topology:
    """A home that listens to the ticks, as the protocol reads at its simplest."""
    queue = topology.fleet_queue(fleet)
    bindings = (
        topology.Binding(topology.RECEIPTS, queue, fleet),
        topology.Binding(topology.TICKS, queue),
    )
    return replace(topology.fleet_topology(fleet), bindings=bindings)


def _answer(bus: RabbitBus, hello: Publication, answer: Publication | None) -> None:
    """Says ``hello`` until a tick opens, then ``answer`` to each that does.

    Nothing is acknowledged: on an own queue a delivery is done with when it comes.
    """
    begun = connected = False
    while True:
        if connected and not begun:
            bus.publish([hello])
        opened = False
        for event in bus.poll(1.0 if begun else _HELLO_AGAIN_S):
            if isinstance(event, Delivery):
                opened = opened or isinstance(event.message, TickOpened)
            elif isinstance(event, Connected):
                connected = True
        if opened and answer:
            bus.publish([answer])
        begun = begun or opened


def _market(bus: RabbitBus, homes: int, ledger: str) -> None:
    bus.open(lambda: topology.market_topology(_IN_FLIGHT))
    fleets = _gathered(bus, homes)
    answers = [
        Publication(topology.RECEIPTS, fleet, receipts(fleet), mandatory=True) for fleet in fleets
    ]
    settled = Publication(topology.TICKS, "", _settled(homes))
    opened = Publication(topology.TICKS, "", _opened(homes))
    commit = committer(ledger)
    came_in: list[Delivery] = []
    orders = 0
    bus.publish([opened])
    while True:
        for event in bus.poll(1.0):
            if isinstance(event, Delivery):
                came_in.append(event)
                orders += isinstance(event.message, Offers)
        if orders < homes:
            continue
        commit()
        bus.publish(answers, then_acknowledge=came_in)
        bus.publish([settled])
        bus.publish([opened])
        came_in, orders = [], 0


def _gathered(bus: RabbitBus, homes: int) -> list[str]:
    """The keys of all home processes, once all of them and the listeners have said hello."""
    fleets: set[str] = set()
    listeners: set[int] = set()
    while len(fleets) < homes or len(listeners) < len(LISTENERS):
        deliveries = [event for event in bus.poll(1.0) if isinstance(event, Delivery)]
        for delivery in deliveries:
            if isinstance(delivery.message, Join):
                fleets.add(delivery.message.fleet)
            elif isinstance(delivery.message, Bulletin):
                listeners.add(delivery.message.tick)
        bus.acknowledge(deliveries)
    return sorted(fleets)


def committer(ledger: str, record_bytes: int = _RECORD_BYTES) -> Callable[[], None]:
    """Each call writes the next tick, on the disk when it returns (write-ahead log, synced)."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE ticks (tick INTEGER PRIMARY KEY, at REAL, record BLOB)")
    record = os.urandom(record_bytes)

    def commit() -> None:
        connection.execute("INSERT INTO ticks (at, record) VALUES (?, ?)", (time.time(), record))

    return commit


# ------------------------------------------------------------------------- messages of usual size


def _publication(exchange: str, key: str, message: Message) -> Publication:
    return Publication(exchange, key, message, persistent=True, mandatory=True)


def _join(fleet: str) -> Publication:
    join = Join(fleet=fleet, instance=fleet, homes=1)
    return _publication(topology.MEMBERSHIP, topology.MEMBERSHIP_KEY, join)


def order(fleet: str) -> Publication:
    """An order message of one home."""
    offers = Offers(
        run=_RUN,
        fleet=fleet,
        secret=secrets.token_hex(16),
        tick=1_234,
        home=[12],
        policy=[3],
        amount_wh=[1_234],
        produced_wh=[2_345],
        consumed_wh=[1_111],
        stock_wh=[4_321],
        capacity_wh=[8_000],
    )
    return _publication(topology.OFFERS, topology.order_key(fleet), offers)


def _bulletin(tick: int) -> Publication:
    return Publication(topology.EXTERNAL, "", Bulletin(run=_RUN, tick=tick, events=[]))


def _opened(homes: int) -> TickOpened:
    return TickOpened(
        run=_RUN,
        epoch=1,
        seed=42,
        tick=1_234,
        price_neur_per_wh=212_345,
        temperature_mdeg=12_345,
        events=[],
        homes=homes,
        degraded=False,
    )


def _settled(homes: int) -> TickSettled:
    return TickSettled(
        run=_RUN,
        epoch=1,
        tick=1_234,
        price_neur_per_wh=212_345,
        next_price_neur_per_wh=213_456,
        homes=homes,
        absent=0,
        given_wh=4_321,
        sold_wh=5_432,
        bought_wh=6_543,
        spilled_wh=7_654,
        unserved_wh=8_765,
        head_hash="0123456789abcdef" * 4,
    )


def receipts(fleet: str) -> Receipts:
    """The receipts of a fleet of one home, which was given something."""
    columns: dict[str, Any] = {
        name: [1_234]
        for name in (
            *("net_wh", "given_wh", "received_wh", "sold_wh", "bought_wh", "spilled_wh"),
            *("unserved_wh", "stock_wh", "charged_neur", "balance_neur", "gift_wh"),
        )
    }
    return Receipts(
        run=_RUN,
        fleet=fleet,
        tick=1_234,
        price_neur_per_wh=212_345,
        late=False,
        home=[12],
        present=[1],
        gift_giver=[12],
        gift_taker=[13],
        opened=None,
        **columns,
    )


if __name__ == "__main__":
    main(sys.argv[1])
