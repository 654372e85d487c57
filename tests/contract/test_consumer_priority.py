"""Several readers of one queue: who gets what comes, in memory and on a real RabbitMQ."""

from __future__ import annotations

from dataclasses import replace

import pytest

from energymarket.bus.amqp_topology import consumer_arguments
from energymarket.bus.port import Delivery, Publication
from energymarket.topology import DEAD, QueueKind, Topology, market_topology
from tests.contract.bus_worlds import (
    PATIENCE_S,
    AnyBus,
    World,
    deliveries,
    numbered,
    numbers,
    opened,
)
from tests.contract.test_bus import Post, sender


def reader(world: World, post: Post, priority: int, *, prefetch: int = 100) -> AnyBus:
    """A connected bus that reads the box of ``post``."""
    bus = world.bus()
    opened(bus, replace(post.topology, consumer_priority=priority, prefetch=prefetch))
    return bus


def send(world: World, post: Post, *asked: int) -> None:
    writer = sender(world)
    writer.publish(post.messages(*asked))
    assert writer.flush(PATIENCE_S)


@pytest.mark.parametrize("queue_kind", ["classic", "quorum"])
@pytest.mark.parametrize("first_to_come", ["the higher", "the lower"])
def test_the_reader_of_the_highest_priority_gets_everything(
    world: World, queue_kind: QueueKind, first_to_come: str
) -> None:
    post = Post(world, queue_kind=queue_kind)
    priorities = (7, 3) if first_to_come == "the higher" else (3, 7)
    buses = {priority: reader(world, post, priority) for priority in priorities}

    send(world, post, *range(20))

    assert numbers(deliveries(buses[7], 20)) == list(range(20))
    assert buses[3].poll(0) == []


@pytest.mark.parametrize("queue_kind", ["classic", "quorum"])
def test_what_the_highest_may_not_hold_goes_to_the_next(
    world: World, queue_kind: QueueKind
) -> None:
    post = Post(world, queue_kind=queue_kind)
    low = reader(world, post, 1)
    high = reader(world, post, 2, prefetch=3)

    send(world, post, *range(10))
    first = deliveries(high, 3)
    rest = deliveries(low, 7)

    assert numbers(first) == [0, 1, 2]
    assert numbers(rest) == [3, 4, 5, 6, 7, 8, 9]
    high.acknowledge(first)
    high.publish([Publication(DEAD, "", numbered(0))])  # confirmed after what went before it
    assert high.flush(PATIENCE_S)
    send(world, post, 10)
    assert numbers(deliveries(high, 1)) == [10]


@pytest.mark.parametrize("queue_kind", ["classic", "quorum"])
def test_what_a_reader_that_goes_had_goes_to_the_one_that_is_left(
    world: World, queue_kind: QueueKind
) -> None:
    """A market that takes over gets the orders that the one before it still held."""
    post = Post(world, queue_kind=queue_kind)
    frozen = reader(world, post, 1)
    send(world, post, 0, 1, 2)
    deliveries(frozen, 3)
    successor = reader(world, post, 2)

    send(world, post, 3)
    assert numbers(deliveries(successor, 1)) == [3]
    frozen.close()

    again = deliveries(successor, 3)
    assert sorted(numbers(again)) == [0, 1, 2]
    assert all(each.redelivered for each in again)


@pytest.mark.parametrize("queue_kind", ["classic", "quorum"])
def test_readers_of_one_priority_take_turns(world: World, queue_kind: QueueKind) -> None:
    post = Post(world, queue_kind=queue_kind)
    buses = [reader(world, post, 5) for _ in range(2)]

    send(world, post, *range(20))
    shares: list[list[int]] = [[], []]
    while sum(map(len, shares)) < 20:
        for share, bus in zip(shares, buses, strict=True):
            share.extend(numbers([e for e in bus.poll(0.05) if isinstance(e, Delivery)]))

    assert sorted(shares[0] + shares[1]) == list(range(20))
    assert all(shares)


def test_a_later_connection_of_a_market_comes_first_and_a_later_market_before_both() -> None:
    def told(epoch: int, generation: int) -> int:
        topology = market_topology(1_000, consumer_priority=epoch)
        return (consumer_arguments(topology, generation) or {"x-priority": 0})["x-priority"]

    ranks = [told(0, 1), told(0, 2), told(1, 1), told(1, 999), told(1, 5_000), told(2, 1)]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
    assert told(7, 50_000) < told(8, 1)
    assert consumer_arguments(Topology(), 1) is None
