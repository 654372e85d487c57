"""A market that starts again gives no home to two processes, nor twice to one."""

from __future__ import annotations

from pathlib import Path

from services.market.domain.membership import Fleet, Membership
from tests.world import STRICT, World


def test_a_process_that_left_gets_each_of_its_homes_once_after_a_restart_of_the_market() -> None:
    """R2: c leaves homes 1 and 2, a takes 1, the market starts again, c comes back."""
    stored: dict[str, Fleet] = {}

    def store(fleet: Fleet | None) -> None:
        assert fleet is not None
        stored[fleet.instance] = fleet

    before = Membership()
    store(before.join(key="c1", instance="c", homes=2, next_tick=1))
    store(before.leave("c1", next_tick=2))
    store(before.join(key="a1", instance="a", homes=1, next_tick=3))

    after = Membership(stored.values())
    back = after.join(key="c2", instance="c", homes=2, next_tick=4)
    assert back.homes == (2, 3)


def test_no_home_is_twice_in_the_roster_of_a_tick_that_is_opened_again() -> None:
    """I3: c leaves during tick 5, the market dies before it is settled, a joins before tick 5 is
    opened again: a has a home of c, and c is in the roster of tick 5 still."""
    before = Membership()
    before.join(key="c1", instance="c", homes=2, next_tick=1)
    left = before.leave("c1", next_tick=6)
    assert left is not None

    after = Membership([left])
    first = after.join(key="a1", instance="a", homes=1, next_tick=5)
    assert [fleet.instance for fleet in after.roster(5)] == ["c"]
    assert (first.homes, first.first_tick) == ((1,), 6)
    after.leave("a1", next_tick=5)
    second = after.join(key="b1", instance="b", homes=3, next_tick=5)
    assert (second.homes, second.first_tick) == ((1, 2, 3), 6)


def _world_with_an_open_tick_that_home_2_has_left(tmp_path: Path) -> World:
    """Home 2 orders, then leaves; the tick waits for home 3 alone, and the market dies."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", tempo=STRICT)
    world.turn_until_tick(3)
    world.homes[2].stopped = True
    world.turn(10)
    world.homes[1].service.stop()
    world.homes[1].stopped = True
    world.turn(3)
    return world


def test_who_left_during_a_tick_is_not_waited_for_when_it_is_opened_again(tmp_path: Path) -> None:
    world = _world_with_an_open_tick_that_home_2_has_left(tmp_path)
    open_since = world.tick
    world.broker.queues["market.orders"].ready.clear()
    for queue in world.broker.queues.values():
        for consumer in queue.consumers:
            consumer.channel.unacked.clear()  # its order is lost too, and nobody will repeat it
    world.restart_market()
    world.homes[2].stopped = False
    world.turn_until_tick(open_since + 2)


def test_the_order_of_who_has_left_since_still_counts_when_its_tick_is_opened_again(
    tmp_path: Path,
) -> None:
    world = _world_with_an_open_tick_that_home_2_has_left(tmp_path)
    open_since = world.tick
    world.restart_market()
    world.homes[2].stopped = False
    world.turn_until_tick(open_since + 2)
    reopened = world.market.books.ledger.history.settled(open_since + 1)
    assert reopened is not None
    assert [home for home, p in zip(reopened.home, reopened.orders.policy, strict=True) if p] == [
        1,
        2,
        3,
    ]
