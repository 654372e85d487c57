"""What is published together goes out in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from energymarket.bus.port import BusEvent, Delivery, Publication
from energymarket.topology import Binding, Exchange, Queue, Topology
from tests.contract.bus_worlds import RabbitWorld, events_until, numbered, numbers, opened
from tests.servers import RabbitServer


def test_the_first_of_many_arrive_while_the_last_are_still_being_made(
    rabbit_server: RabbitServer,
) -> None:
    world = RabbitWorld(rabbit_server)
    exchange, queue = world.name("post"), world.name("box")
    topology = Topology(
        exchanges=(Exchange(exchange, "fanout"),),
        queues=(Queue(queue, "quorum", 100_000),),
        bindings=(Binding(exchange, queue),),
        consumes=(queue,),
        prefetch=10_000,
    )
    reader, writer = world.bus(), world.bus()
    opened(reader, topology)
    opened(writer, Topology())

    def read_until(there: Callable[[list[Delivery]], bool]) -> list[int]:
        found: list[Delivery] = []

        def enough(events: list[BusEvent]) -> bool:
            found[:] = [event for event in events if isinstance(event, Delivery)]
            return there(found)

        events_until(reader, enough)
        return numbers(found)

    def made() -> Iterator[Publication]:
        for number in range(5_000):
            yield Publication(exchange, "", numbered(number))
        first.extend(read_until(bool))
        yield Publication(exchange, "", numbered(5_000))

    first: list[int] = []
    try:
        writer.publish(made())
        assert first
        rest = read_until(lambda found: len(first) + len(found) == 5_001)
        assert first + rest == list(range(5_001))
    finally:
        world.close()
