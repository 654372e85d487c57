"""What a bus says about its connection, whichever bus it is."""

from __future__ import annotations

from energymarket.topology import Topology
from tests.contract.bus_worlds import World, disconnected, opened, reconnected


def test_a_bus_knows_whether_it_is_connected_and_how_often_it_had_to_connect_again(
    world: World,
) -> None:
    bus = world.bus()
    assert not bus.counters.connected
    opened(bus, Topology())
    assert bus.counters.connected
    world.cut(bus)
    reconnected(bus)
    assert bus.counters.connected
    assert bus.counters.reconnects == 1
    world.go_away()
    disconnected(bus)
    assert not bus.counters.connected
    bus.close()
    assert not bus.counters.connected
    assert bus.counters.connects == bus.counters.disconnects == 2
