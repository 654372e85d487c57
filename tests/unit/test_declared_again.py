"""What a bus asks for again while all is well: everything of its own in turn, little at a time."""

from __future__ import annotations

from energymarket.bus.amqp_topology import MOST_QUEUES_AT_ONCE, to_declare_again
from energymarket.topology import Topology, fleet_topology, market_topology


def test_a_small_topology_is_declared_again_as_a_whole_but_for_what_others_own() -> None:
    mine = fleet_topology("key")
    (part,) = to_declare_again(mine)
    assert mine.expected_exchanges
    assert not part.expected_exchanges
    assert (part.queues, part.bindings) == (mine.queues, mine.bindings)


def test_the_queues_of_many_fleets_are_declared_again_in_turn_each_with_its_bindings() -> None:
    fleets = [fleet_topology(f"key-{number}") for number in range(500)]
    together = Topology(
        queues=tuple(queue for each in fleets for queue in each.queues),
        bindings=tuple(binding for each in fleets for binding in each.bindings),
    )
    parts = to_declare_again(together)
    assert tuple(queue for part in parts for queue in part.queues) == together.queues
    assert {b for part in parts for b in part.bindings} == set(together.bindings)
    for part in parts:
        names = {queue.name for queue in part.queues}
        assert len(names) <= MOST_QUEUES_AT_ONCE
        assert {binding.queue for binding in part.bindings} == names


def test_exchanges_and_bindings_to_the_queues_of_others_are_declared_again_too() -> None:
    market = market_topology(100)
    parts = to_declare_again(market)
    assert all(part.exchanges == market.exchanges for part in parts)
    assert {b for part in parts for b in part.bindings} == set(market.bindings)
    (part,) = to_declare_again(Topology(exchanges=market.exchanges))
    assert part.exchanges == market.exchanges
