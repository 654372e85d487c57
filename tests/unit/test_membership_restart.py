"""A market that starts again gives no home to two processes, nor twice to one."""

from __future__ import annotations

from services.market.domain.membership import Fleet, Membership


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


def test_homes_given_back_in_a_tick_that_is_opened_again_are_in_its_roster_once() -> None:
    """I3: c leaves in tick 5, the market is killed in it, and a comes before 5 is open again."""
    before = Membership()
    before.join(key="c1", instance="c", homes=2, next_tick=1)
    left = before.leave("c1", next_tick=6)
    assert left is not None

    after = Membership([left])
    came = after.join(key="a1", instance="a", homes=2, next_tick=5)
    assert came.homes == left.homes
    assert after.roster(5) == [left]
    assert after.roster(6) == [came]
