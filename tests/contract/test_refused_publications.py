"""A broker that refuses a message says so (basic.nack): it then counts as not sent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from energymarket.bus.port import Publication
from energymarket.topology import DEAD, Binding, Exchange, Queue, Topology
from tests.contract.bus_worlds import (
    PATIENCE_S,
    RabbitWorld,
    deliveries,
    eventually,
    message_number,
    numbered,
    opened,
)
from tests.servers import RabbitServer


@pytest.fixture
def world(rabbit_server: RabbitServer) -> Iterator[RabbitWorld]:
    made = RabbitWorld(rabbit_server)
    yield made
    made.close()


def test_what_the_broker_refuses_is_counted_and_its_cause_is_not_acknowledged(
    world: RabbitWorld,
) -> None:
    """Receipts that were refused leave their orders in the queue."""
    orders, receipts = world.name("orders"), world.name("receipts")
    box, narrow = world.name("box"), world.name("narrow")
    topology = Topology(
        exchanges=(
            Exchange(orders, "fanout"),
            Exchange(receipts, "fanout"),
            Exchange(DEAD, "fanout"),
        ),
        queues=(Queue(box, "quorum", 100),),
        bindings=(Binding(orders, box),),
        consumes=(box,),
    )
    bus = world.bus()
    opened(bus, topology)
    channel = world.probe.channel
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    channel.queue_declare(narrow, exclusive=True, arguments=full)
    channel.queue_bind(narrow, receipts)
    bus.publish([Publication(orders, "", numbered(1), persistent=True)])
    assert bus.flush(PATIENCE_S)
    (order,) = deliveries(bus, 1)
    channel.basic_publish(receipts, "", b"fills it")
    eventually(lambda: world.probe.ready(narrow) == 1, "it is full")

    bus.publish([Publication(receipts, "", numbered(2), mandatory=True)], then_acknowledge=[order])

    assert not bus.flush(PATIENCE_S)
    assert bus.counters.rejected == 1
    (again,) = deliveries(bus, 1)
    assert message_number(again) == 1
    assert again.redelivered
