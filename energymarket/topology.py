"""Names on the broker: exchanges, queues and who consumes what.

The names are public: users and other programs bind to them (docs/interfaces.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TICKS: Final = "energymarket.ticks"
OPENINGS: Final = "energymarket.openings"
OFFERS: Final = "energymarket.offers"
REQUESTS: Final = "energymarket.requests"
MEMBERSHIP: Final = "energymarket.membership"
RECEIPTS: Final = "energymarket.receipts"
EXTERNAL: Final = "energymarket.external"
DEAD: Final = "energymarket.dead"

TO_ALL: Final = (TICKS, OPENINGS)
"""Where a message to everyone goes: homes do not listen to the ticks, only to the openings."""

ORDERS_QUEUE: Final = "market.orders"
EXTERNAL_QUEUE: Final = "market.external"
DEAD_QUEUE: Final = "market.dead"

MEMBERSHIP_KEY: Final = "market"

MAX_ORDERS_QUEUED: Final = 200_000
MAX_BULLETINS_QUEUED: Final = 10_000
MAX_DEAD_QUEUED: Final = 10_000
MAX_FLEET_QUEUED: Final = 10_000
DELIVERY_LIMIT: Final = 10
"""Returns of one message before the broker dead-letters it. Homes send their orders again, so a
dead-lettered one is not lost; without a limit one that kills its reader would return for ever. It
is small because a market that is killed so often is started again later and later: Docker waits
102 s in all for its tenth start, and a minute for each one more."""

ExchangeKind = Literal["fanout", "topic", "direct"]
QueueKind = Literal["quorum", "classic", "exclusive"]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    kind: ExchangeKind


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue with its limits. ``exclusive`` ones live and die with the connection.

    With ``acknowledged_on_delivery`` a message is done with as soon as it is delivered, and the
    prefetch does not apply: for exclusive queues, which end with their connection, so that there
    is nobody to whom an unacknowledged message could come again. It saves both sides the
    acknowledgement of every tick and receipt.

    With ``said_again`` the senders repeat what is in it until they are answered, so that a queue
    that the broker cannot serve any more may be deleted and made anew.

    A full queue drops its oldest message, or with ``reject_when_full`` refuses the newest, which
    the publisher hears as a negative confirm.
    """

    name: str
    kind: QueueKind
    max_length: int
    reject_when_full: bool = False
    dead_letter_exchange: str | None = None
    delivery_limit: int | None = None
    acknowledged_on_delivery: bool = False
    said_again: bool = False


@dataclass(frozen=True, slots=True)
class Binding:
    """Routes ``exchange`` to ``queue`` for ``routing_key``."""

    exchange: str
    queue: str
    routing_key: str = ""


@dataclass(frozen=True, slots=True)
class Topology:
    """What a connection needs on the broker.

    ``exchanges`` are declared, ``expected_exchanges`` must be there already (their owner, the
    market, declares them; the bus waits until it has). ``prefetch`` is the most messages that may
    be delivered and not yet acknowledged. Of several consumers of a queue, one of the highest
    ``consumer_priority`` gets what comes, for as long as its prefetch lets it.
    """

    exchanges: tuple[Exchange, ...] = ()
    expected_exchanges: tuple[str, ...] = ()
    queues: tuple[Queue, ...] = ()
    bindings: tuple[Binding, ...] = ()
    consumes: tuple[str, ...] = ()
    prefetch: int = 1_000
    consumer_priority: int = 0


def market_topology(max_orders_in_flight: int, *, consumer_priority: int = 0) -> Topology:
    """Everything the market owns: all exchanges, its queues, and the queue of dead letters."""
    return Topology(
        exchanges=(
            Exchange(TICKS, "fanout"),
            Exchange(OPENINGS, "fanout"),
            Exchange(OFFERS, "topic"),
            Exchange(REQUESTS, "topic"),
            Exchange(MEMBERSHIP, "direct"),
            Exchange(RECEIPTS, "direct"),
            Exchange(EXTERNAL, "fanout"),
            Exchange(DEAD, "fanout"),
        ),
        queues=(
            Queue(
                ORDERS_QUEUE,
                "quorum",
                MAX_ORDERS_QUEUED,
                reject_when_full=True,
                dead_letter_exchange=DEAD,
                delivery_limit=DELIVERY_LIMIT,
                said_again=True,
            ),
            Queue(
                EXTERNAL_QUEUE,
                "quorum",  # a classic one has no limit to how often a message may come again
                MAX_BULLETINS_QUEUED,
                dead_letter_exchange=DEAD,
                delivery_limit=DELIVERY_LIMIT,
                said_again=True,
            ),
            Queue(DEAD_QUEUE, "classic", MAX_DEAD_QUEUED),
        ),
        bindings=(
            Binding(OFFERS, ORDERS_QUEUE, "home.*"),
            Binding(REQUESTS, ORDERS_QUEUE, "home.*"),
            Binding(MEMBERSHIP, ORDERS_QUEUE, MEMBERSHIP_KEY),
            Binding(EXTERNAL, EXTERNAL_QUEUE),
            Binding(DEAD, DEAD_QUEUE),
        ),
        consumes=(ORDERS_QUEUE, EXTERNAL_QUEUE),
        prefetch=max_orders_in_flight,
        consumer_priority=consumer_priority,
    )


def own_queue(name: str) -> Queue:
    """A queue that a process has for itself, for as long as it is connected."""
    return Queue(name, "exclusive", MAX_FLEET_QUEUED, acknowledged_on_delivery=True)


def fleet_queue(fleet: str) -> str:
    """Name of a fleet's own queue: its receipts and openings, in the order they were sent."""
    return f"fleet.{fleet}"


def order_key(fleet: str) -> str:
    """Routing key of a fleet's orders."""
    return f"home.{fleet}"


def fleet_topology(fleet: str) -> Topology:
    """A home process: one exclusive queue for its receipts, and the openings without receipts."""
    queue = fleet_queue(fleet)
    return Topology(
        expected_exchanges=(OPENINGS, OFFERS, REQUESTS, MEMBERSHIP, RECEIPTS),
        queues=(own_queue(queue),),
        bindings=(Binding(RECEIPTS, queue, fleet), Binding(OPENINGS, queue)),
        consumes=(queue,),
    )


def listener_topology(service: str, key: str) -> Topology:
    """Weather or external: one exclusive queue for the ticks, and leave to publish bulletins."""
    queue = f"{service}.{key}"
    return Topology(
        expected_exchanges=(TICKS, EXTERNAL),
        queues=(own_queue(queue),),
        bindings=(Binding(TICKS, queue),),
        consumes=(queue,),
    )
