"""A market that starts again gives no home to two processes, nor twice to one."""

from __future__ import annotations

from pathlib import Path

from energymarket.bus.memory import MemoryBus
from services.home.service import HomeService
from services.market.domain.membership import Fleet, Membership
from tests.world import STRICT, Member, World


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


def _fleet(world: World, homes: int) -> Member:
    """A process of several homes, always the same instance."""
    bus = MemoryBus(world.broker)
    service = HomeService(
        bus=bus,
        clock=world.clock,
        log=world.log.log,
        new_key=world._new_key,
        instance="fleet",
        homes=homes,
    )
    service.start()
    member = Member(service, bus)
    world.homes.append(member)
    return member


def test_who_leaves_and_is_back_in_the_same_tick_has_ordered_for_it_though_the_market_dies(
    tmp_path: Path,
) -> None:
    """I3, I7: as a container that is restarted. Its orders are taken as if the market had lived."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=2, tempo=STRICT)
    fleet = _fleet(world, 3)
    world.turn_until_tick(4)
    world.homes[0].stopped = True  # home 1 alone holds the tick up
    world.turn(10)
    open_since = world.tick
    fleet.service.stop()
    world.homes.remove(fleet)
    world.turn(3)
    _fleet(world, 3)
    world.turn(5)
    world.restart_market()
    world.turn(5)
    world.homes[0].stopped = False
    world.turn_until_tick(open_since + 2)
    reopened = world.market.books.ledger.history.settled(open_since + 1)
    assert reopened is not None
    assert [*reopened.home] == [1, 2, 3, 4, 5]
    assert all(reopened.orders.policy)
    assert [word for word in world.log.lines if word.get("reason") == "unknown_fleet"] == []


def test_who_dies_and_is_back_with_another_number_of_homes_does_not_hold_the_tick_up(
    tmp_path: Path,
) -> None:
    """I3: with no deadline too; what it did not order for is recorded absent."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", homes=2, tempo=STRICT)
    fleet = _fleet(world, 3)
    world.turn_until_tick(4)
    fleet.stopped = True
    world.turn(10)
    open_since = world.tick
    world.broker.drop_connection(fleet.bus)  # type: ignore[arg-type]
    fleet.bus.close()
    world.homes.remove(fleet)
    _fleet(world, 5)
    world.turn_until_tick(open_since + 3)
    settled = world.market.books.ledger.history.settled(open_since + 1)
    assert settled is not None
    assert [*settled.home] == [1, 2, 3, 4, 5]
    assert settled.absent == 3
    assert world.market.books.last is not None
    assert [*world.market.books.last.home] == [1, 2, 3, 4, 5, 6, 7]
    assert not world.market.books.last.absent
