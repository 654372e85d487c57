"""How a topology is put in place on RabbitMQ; the same on every version from 3.10 on."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Protocol

from energymarket.topology import Binding, Queue, Topology

MAX_PREFETCH: Final = 65_535
"""The most that AMQP can say; it holds for each queue that is consumed, not for all together."""

MOST_QUEUES_AT_ONCE: Final = 32
"""That are declared again at one time."""

_GENERATIONS: Final = 1_000
"""Connections of one bus that are told apart; those beyond share a rank."""


class DeclaringChannel(Protocol):
    """What is asked of the driver's channel; without a callback, none of it awaits an answer."""

    def exchange_declare(
        self, exchange: str, exchange_type: str = ..., passive: bool = ..., durable: bool = ...
    ) -> None: ...

    def queue_declare(
        self, queue: str, *, durable: bool, exclusive: bool, arguments: dict[str, str | int]
    ) -> None: ...

    def queue_bind(self, queue: str, exchange: str, routing_key: str) -> None: ...


def declare(channel: DeclaringChannel, topology: Topology) -> None:
    """Asks for everything at once; the broker closes the channel over the first that is wrong.

    What must be there already comes first: where it lacks, nothing has been made yet.
    """
    for name in topology.expected_exchanges:
        channel.exchange_declare(name, passive=True)
    for exchange in topology.exchanges:
        channel.exchange_declare(exchange.name, exchange.kind, durable=True)
    for queue in topology.queues:
        exclusive = queue.kind == "exclusive"
        channel.queue_declare(
            queue.name,
            durable=not exclusive,
            exclusive=exclusive,
            arguments=queue_arguments(queue),
        )
    for binding in topology.bindings:
        channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)


def to_declare_again(topology: Topology) -> list[Topology]:
    """The topology in parts, to be declared in turn: that puts back what was deleted meanwhile, and
    changes nothing else. A part has few queues, for while the broker declares those of a thousand
    fleets it does nothing else on their channel for half a second.

    What is expected of others is left out: to bind to it or to publish to it shows that it is gone.
    """
    most = MOST_QUEUES_AT_ONCE
    queues = topology.queues
    parts = [queues[begin : begin + most] for begin in range(0, max(len(queues), 1), most)]
    part_of = {queue.name: number for number, part in enumerate(parts) for queue in part}
    bindings: list[list[Binding]] = [[] for _ in parts]
    for binding in topology.bindings:
        bindings[part_of.get(binding.queue, 0)].append(binding)
    return [
        replace(topology, expected_exchanges=(), queues=part, bindings=tuple(its))
        for part, its in zip(parts, bindings, strict=True)
    ]


def queue_arguments(queue: Queue) -> dict[str, str | int]:
    """The ``x-`` arguments of ``queue``.

    Nothing is left to the broker's defaults where they differ between versions: the type (a virtual
    host may have a default of its own) and a quorum queue's delivery limit (none before RabbitMQ 4,
    20 since).
    """
    arguments: dict[str, str | int] = {
        "x-queue-type": "quorum" if queue.kind == "quorum" else "classic",
        "x-max-length": queue.max_length,
        "x-overflow": "reject-publish" if queue.reject_when_full else "drop-head",
    }
    if queue.dead_letter_exchange is not None:
        arguments["x-dead-letter-exchange"] = queue.dead_letter_exchange
    if queue.kind == "quorum" and queue.delivery_limit is not None:
        arguments["x-delivery-limit"] = queue.delivery_limit
    return arguments


def consumer_arguments(topology: Topology, generation: int) -> dict[str, int] | None:
    """The ``x-`` arguments of each consumer of ``topology``; None where nothing differs.

    A later connection comes before an earlier one of the same bus: the broker may not know for
    half a minute yet that the earlier one is dead, and would go on to give it every second message.
    """
    later = min(generation - 1, _GENERATIONS - 1)
    priority = topology.consumer_priority * _GENERATIONS + later
    return {"x-priority": priority} if priority else None
