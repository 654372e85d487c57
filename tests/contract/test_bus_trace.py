"""A trace context travels with a message, whichever bus carries it."""

from __future__ import annotations

from energymarket.bus.port import Publication
from energymarket.topology import Binding, Exchange, Queue, Topology
from tests.contract.bus_worlds import World, deliveries, numbered, opened

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_trace_context_comes_with_its_message_and_no_other_message_has_a_header(
    world: World,
) -> None:
    exchange, queue, unread = world.name("x"), world.name("q"), world.name("unread")
    topology = Topology(
        exchanges=(Exchange(exchange, "fanout"),),
        queues=(Queue(queue, "classic", 10), Queue(unread, "classic", 10)),
        bindings=(Binding(exchange, queue), Binding(exchange, unread)),
        consumes=(queue,),
    )
    bus = world.bus()
    opened(bus, topology)
    bus.publish(
        [
            Publication(exchange, "", numbered(1), trace=TRACE),
            Publication(exchange, "", numbered(2)),
        ]
    )
    assert [delivery.trace for delivery in deliveries(bus, 2)] == [TRACE, ""]
    assert [found.headers for found in world.take(unread)] == [{"traceparent": TRACE}, {}]
