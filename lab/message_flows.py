"""Who sends which message where, and who reads it: what topology and message types leave open.

A test lets a whole world run and compares.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from energymarket import topology
from energymarket.messages import (
    Bulletin,
    Join,
    Leave,
    Message,
    Offers,
    Receipts,
    Refused,
    Requests,
    TickAwaited,
    TickOpened,
    TickSettled,
    Welcome,
)
from energymarket.topology import Exchange, Queue, Topology


@dataclass(frozen=True, slots=True)
class Flow:
    """Messages that one service publishes alike; ``{fleet}`` in a key stands for a fleet key.

    ``persistent`` and ``mandatory`` are as in ``Publication``; ``answers`` are what the sender gets
    for it, on the exchange of receipts.
    """

    name: str
    sender: str
    exchange: str
    routing_key: str
    messages: tuple[type[Message], ...]
    persistent: bool = False
    mandatory: bool = False
    answers: tuple[type[Message], ...] = ()


_FLEET: Final = "{fleet}"

FLOWS: Final = (
    Flow("ticks", "market", topology.TICKS, "", (TickAwaited, TickOpened, TickSettled)),
    Flow("openings", "market", topology.OPENINGS, "", (TickAwaited, TickOpened)),
    Flow(
        "join",
        "home",
        topology.MEMBERSHIP,
        topology.MEMBERSHIP_KEY,
        (Join,),
        persistent=True,
        mandatory=True,
        answers=(Welcome, Refused),
    ),
    Flow(
        "leave",
        "home",
        topology.MEMBERSHIP,
        topology.MEMBERSHIP_KEY,
        (Leave,),
        persistent=True,
        mandatory=True,
    ),
    Flow(
        "offers",
        "home",
        topology.OFFERS,
        topology.order_key(_FLEET),
        (Offers,),
        persistent=True,
        mandatory=True,
        answers=(Receipts, Refused),
    ),
    Flow(
        "requests",
        "home",
        topology.REQUESTS,
        topology.order_key(_FLEET),
        (Requests,),
        persistent=True,
        mandatory=True,
        answers=(Receipts, Refused),
    ),
    Flow(
        "receipts",
        "market",
        topology.RECEIPTS,
        _FLEET,
        (Welcome, Receipts, Refused),
        mandatory=True,
    ),
    Flow("bulletins", "external", topology.EXTERNAL, "", (Bulletin,), persistent=True),
)

SERVICES: Final[dict[str, Topology]] = {
    "market": topology.market_topology(topology.MAX_ORDERS_QUEUED),
    "home": topology.fleet_topology(_FLEET),
    "weather": topology.listener_topology("weather", "{key}"),
    "external": topology.listener_topology("external", "{key}"),
}
"""Every service with what it has on the broker; ``{fleet}`` and ``{key}`` are new for each
connection."""


def exchanges() -> list[Exchange]:
    """All exchanges, in the order in which they are declared."""
    return [each for made in SERVICES.values() for each in made.exchanges]


def queues() -> list[tuple[str, Queue]]:
    """All queues, each with the service that declares it."""
    return [(service, queue) for service, made in SERVICES.items() for queue in made.queues]


def sources(queue: str) -> list[str]:
    """The exchanges that are bound to a queue."""
    return [
        binding.exchange
        for made in SERVICES.values()
        for binding in made.bindings
        if binding.queue == queue
    ]


def readers(exchange: str) -> list[str]:
    """The services that consume what is published to an exchange."""
    return [
        service
        for service, made in SERVICES.items()
        if any(exchange in sources(queue) for queue in made.consumes)
    ]


def carried(exchange: str) -> list[type[Message]]:
    """The messages that an exchange carries."""
    return [message for flow in FLOWS if flow.exchange == exchange for message in flow.messages]
