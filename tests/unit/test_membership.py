"""Membership: lowest free ids, the same homes for who comes back, room for the next."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.market.domain.home_ids import from_ranges, to_ranges
from services.market.domain.membership import Fleet, FleetsFull, Membership


def join(membership: Membership, instance: str, homes: int = 1, tick: int = 1) -> Fleet:
    return membership.join(key=f"key-{instance}", instance=instance, homes=homes, next_tick=tick)


def test_joiners_get_the_lowest_free_home_ids() -> None:
    members = Membership()
    assert join(members, "a").homes == (1,)
    assert join(members, "b", homes=3).homes == (2, 3, 4)
    members.leave("key-a", 5)
    assert join(members, "c", homes=2, tick=5).homes == (1, 5)


def test_an_instance_that_comes_back_gets_its_homes_under_a_new_key() -> None:
    members = Membership()
    first = join(members, "a", homes=2)
    join(members, "b")
    again = members.join(key="other", instance="a", homes=2, next_tick=9)
    assert (again.homes, again.first_tick) == (first.homes, first.first_tick)
    assert members.by_key("key-a") is None
    assert members.by_key("other") == again


def test_an_instance_that_left_gets_its_homes_back_while_they_are_free() -> None:
    members = Membership()
    for instance in "abc":
        join(members, instance)
    members.leave("key-b", 2)
    members.leave("key-a", 2)
    assert join(members, "b", tick=3).homes == (2,)
    assert join(members, "d", tick=3).homes == (1,)
    assert join(members, "a", tick=4).homes == (4,)


def test_an_instance_that_comes_back_larger_keeps_its_homes_and_gets_more() -> None:
    members = Membership()
    join(members, "a", homes=2)
    join(members, "b")
    assert join(members, "a", homes=3, tick=7).homes == (1, 2, 4)
    assert join(members, "a", homes=1, tick=8).homes == (1,)
    assert join(members, "c", homes=2, tick=8).homes == (2, 4)


def test_a_fleet_takes_part_from_its_first_tick_until_it_left() -> None:
    members = Membership()
    join(members, "a", tick=3)
    members.leave("key-a", 6)
    assert [tick for tick in range(10) if members.roster(tick)] == [3, 4, 5]


def test_the_homes_of_a_fleet_that_left_may_be_held_by_several() -> None:
    members = Membership()
    fleets = [join(members, "a", homes=3), join(members, "b")]
    assert members.holders(fleets) == fleets
    members.leave("key-a", 5)
    assert members.holders(fleets) == fleets[1:]
    small, large = join(members, "c", tick=5), join(members, "d", homes=3, tick=5)
    assert (small.homes, large.homes) == ((1,), (2, 3, 5))
    assert members.holders(fleets) == [small, large, fleets[1]]


def test_a_fleet_that_left_may_not_speak_any_more() -> None:
    members = Membership()
    join(members, "a")
    members.leave("key-a", 2)
    assert members.by_key("key-a") is None
    assert members.leave("key-a", 3) is None


def test_the_number_of_fleets_is_bounded_and_those_that_left_make_room() -> None:
    members = Membership(max_fleets=2)
    join(members, "a")
    join(members, "b")
    with pytest.raises(FleetsFull, match="2 home processes at most"):
        join(members, "c")
    members.leave("key-a", 2)
    assert join(members, "c", tick=2).homes == (1,)


def test_an_instance_that_left_comes_back_larger_after_the_market_was_restarted() -> None:
    """Its old home and a new one, and not the old one twice."""
    members = Membership()
    join(members, "a")
    left = members.leave("key-a", 2)
    assert left is not None
    assert join(Membership([left]), "a", homes=2, tick=3).homes == (1, 2)


def test_an_instance_that_is_back_before_its_last_tick_is_settled_stays_in_its_roster() -> None:
    """Tick 5 is open. A market that dies before it is settled opens it with the same homes."""
    members = Membership()
    join(members, "a", homes=2)
    left = members.leave("key-a", 6)
    assert left is not None
    back = members.join(key="new", instance="a", homes=2, next_tick=6, settled_tick=4)
    assert (back.homes, back.first_tick) == ((1, 2), 6)
    (stint,) = members.stints
    for known in (members, Membership([back, stint])):
        assert [fleet.homes for fleet in known.roster(5)] == [(1, 2)]
        assert known.roster(6) == [back]
        assert known.sender("key-a", 5) == stint
        assert known.members() == (back,)
        known.stints.clear()
        known.join(key="other", instance="b", homes=1, next_tick=7, settled_tick=5)
        assert (known.roster(5), known.forgotten) == ([], [stint])


def test_an_instance_that_comes_back_with_another_number_leaves_the_tick_that_is_open() -> None:
    members = Membership()
    join(members, "a", homes=2)
    back = members.join(key="new", instance="a", homes=3, next_tick=6, settled_tick=4)
    assert (back.homes, back.first_tick) == ((1, 2, 3), 6)
    (stint,) = members.stints
    assert (stint.homes, stint.left_tick) == ((1, 2), 6)
    assert members.roster(5) == [stint]


def test_a_fleet_that_left_is_not_forgotten_while_a_tick_that_it_was_in_is_unsettled() -> None:
    members = Membership(max_fleets=1)
    join(members, "a")
    members.leave("key-a", 6)
    with pytest.raises(FleetsFull):
        members.join(key="b", instance="b", homes=1, next_tick=6, settled_tick=4)
    assert members.join(key="b", instance="b", homes=1, next_tick=7, settled_tick=5).homes == (1,)


def test_however_often_a_fleet_comes_back_what_is_remembered_does_not_grow() -> None:
    members = Membership()
    for tick in range(1, 200):
        members.join(key=f"k{tick}", instance="a", homes=10, next_tick=tick, settled_tick=tick - 2)
        members.leave(f"k{tick}", tick + 1)
    assert len(members._free) == len(members._in_free) == 10
    assert len(members._by_instance) == len(members._by_key) <= 3


def test_a_process_that_comes_and_goes_within_one_tick_leaves_one_stint_behind() -> None:
    """A container that fails again and again while a tick waits: only its first stay is of it."""
    members = Membership(max_fleets=10)
    join(members, "a")
    for number in range(50):
        members.leave("key-a" if not number else f"k{number}", 6)
        key = f"k{number + 1}"
        members.join(key=key, instance="a", homes=1, next_tick=6, settled_tick=4)
    assert [fleet.key for fleet in members.roster(5)] == ["key-a"]
    assert len(members._by_instance) == len(members._by_key) == 2


def test_two_instances_under_one_key_leave_nothing_that_cannot_be_forgotten() -> None:
    members = Membership(max_fleets=2)
    for tick, instance in enumerate("ab", start=1):
        members.join(key="same", instance=instance, homes=1, next_tick=tick)
        members.leave("same", tick + 1)
    for tick, instance in enumerate("cd", start=3):
        assert join(members, instance, tick=tick).first_tick == tick


moves = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "reload"]),
        st.sampled_from("abcdef"),
        st.integers(1, 4),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(moves=moves)
def test_no_home_is_ever_held_twice_and_a_reloaded_membership_is_the_same(
    moves: list[tuple[str, str, int]],
) -> None:
    members = Membership()
    stored: dict[str, Fleet] = {}
    for tick, (move, instance, homes) in enumerate(moves, start=1):
        if move == "join":
            fleet: Fleet | None = join(members, instance, homes, tick)
            assert fleet is not None
            assert len(fleet.homes) == homes
        elif move == "leave":
            fleet = members.leave(f"key-{instance}", tick)
        else:
            fleet, members = None, Membership(stored.values())
        if fleet:
            stored[fleet.instance] = fleet
        held = [home for one in members.members() for home in one.homes]
        assert len(held) == len(set(held)) == members.homes
        assert max(held, default=0) <= 24
        assert members.members() == tuple(f for f in stored.values() if f.left_tick is None)


@given(st.sets(st.integers(1, 10**6)).map(sorted))
def test_home_ids_survive_their_way_through_ranges(homes: list[int]) -> None:
    assert list(from_ranges(to_ranges(homes))) == homes


def test_ranges_are_short() -> None:
    assert to_ranges([1, 2, 3, 7, 9, 10]) == "1-3,7,9-10"
