"""The pause and the pace of a market: what waits, and who stays a member meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from energymarket.errors import WeatherStoreUnavailable
from services.market.errors import ClockRuns
from services.market.pacing import Pace
from tests.world import STRICT, WITH_DEADLINE, World


def pause(world: World, *, paused: bool = True) -> None:
    world.market.commands.submit(lambda: world.market.change_clock(paused=paused, pace_s=None))
    world.turn(10)


def test_a_clock_that_is_paused_before_the_first_tick_holds_it() -> None:
    world = World("sqlite://")
    pause(world)
    world.pass_time(20)
    assert (world.tick, world.market.view.waiting_for) == (0, ("clock",))
    pause(world, paused=False)
    world.turn_until_tick(2)


def test_a_clock_that_is_paused_while_an_input_is_awaited_opens_nothing_when_it_comes() -> None:
    world = World("sqlite://")
    world.turn_until_tick(3)
    world.weather.stopped = True
    world.pass_time(60)
    assert world.market.view.waiting_for == ("weather",)
    stuck = world.tick
    pause(world)
    world.weather.stopped = False
    world.pass_time(20)
    assert world.tick == stuck
    pause(world, paused=False)
    world.turn_until_tick(stuck + 2)


def test_pauses_and_single_steps_change_no_number() -> None:
    """I7: when a tick happens is no part of what happens."""
    straight, halting = World("sqlite://"), World("sqlite://")
    straight.turn_until_tick(12)
    halting.turn_until_tick(3)
    pause(halting)
    rested_at = halting.tick
    halting.pass_time(30)
    halting.market.commands.submit(lambda: halting.market.step_clock(2))
    halting.turn(60)
    assert halting.tick == rested_at + 2
    pause(halting, paused=False)
    halting.turn_until_tick(12)
    hashes = [world.market.history.tick_hash(12) for world in (straight, halting)]
    assert hashes[0] == hashes[1] is not None


def test_a_fleet_that_is_silent_during_a_pause_keeps_its_homes() -> None:
    """Nobody asks it anything: an hour of that is no silence, however short the lease."""
    world = World("sqlite://", tempo=replace(WITH_DEADLINE, tick_s=1, lease_s=30))
    world.turn_until_tick(3)
    world.homes[1].stopped = True
    world.pass_time(8)  # it has missed a deadline
    pause(world)
    world.homes[1].stopped = False
    world.pass_time(3_600)
    assert world.market.books.membership.homes == 3
    rested_at = world.tick
    pause(world, paused=False)
    world.turn_until_tick(rested_at + 5)
    assert world.market.books.membership.homes == 3
    assert world.market.books.last is not None
    assert world.market.books.last.absent == 0
    assert not world.log.saying("silent beyond their lease")


def test_a_fleet_that_is_gone_loses_its_homes_though_the_market_was_paused_in_between() -> None:
    world = World("sqlite://", tempo=replace(WITH_DEADLINE, tick_s=1, lease_s=30))
    world.turn_until_tick(3)
    world.homes[1].stopped = True
    world.pass_time(20)
    pause(world)
    world.pass_time(100)
    pause(world, paused=False)
    assert world.market.books.membership.homes == 3
    world.pass_time(120)
    assert world.market.books.membership.homes == 2
    assert len(world.log.saying("silent beyond their lease")) == 1


def test_a_fleet_is_asked_some_times_before_its_lease_ends_however_long_the_rests_are() -> None:
    """A pace of ten minutes, and a lease of half a minute."""
    world = World("sqlite://", tempo=replace(WITH_DEADLINE, tick_s=600, lease_s=30))
    world.turn_until_tick(1)
    world.homes[1].stopped = True
    world.pass_time(610)
    assert world.market.books.last is not None
    assert world.market.books.last.absent == 1
    world.homes[1].stopped = False
    world.pass_time(1_900)
    assert world.market.books.last.absent == 0
    assert world.market.books.membership.homes == 3


def test_a_home_that_joins_during_a_pause_is_welcomed_and_trades_afterwards() -> None:
    world = World("sqlite://", tempo=STRICT)
    world.turn_until_tick(2)
    pause(world)
    world.add_home(instance="late")
    world.turn(10)
    assert world.market.books.membership.homes == 4
    rested_at = world.tick
    pause(world, paused=False)
    world.turn_until_tick(rested_at + 2)
    assert world.market.books.last is not None
    assert [*world.market.books.last.home] == [1, 2, 3, 4]


def test_a_market_at_rest_still_notices_a_store_that_is_gone_and_one_that_is_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def gone(*_: object) -> dict[int, int]:
        raise WeatherStoreUnavailable("the store does not answer")

    world = World("sqlite://")
    world.turn_until_tick(2)
    pause(world)
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "read", gone)
        world.pass_time(5)
        assert not world.market.view.store_answers
    world.pass_time(5)
    assert world.market.view.store_answers


def test_rates_leave_out_the_time_of_a_pause() -> None:
    pace = Pace(1.0)
    for tick in range(5):
        pace.opened(tick)
        pace.settled(tick + 0.5, orders=2)
    pace.change(paused=True, pace_s=None)
    pace.change(paused=False, pace_s=None)
    pace.opened(1_000)
    pace.settled(1_000.5, orders=2)
    assert [time.took_s for time in pace.face.times] == [None, 1, 1, 1, 1, None]
    assert {time.work_s for time in pace.face.times} == {0.5}


def test_the_first_of_several_steps_is_at_once_and_the_others_keep_the_pace() -> None:
    pace = Pace(60.0)
    pace.opened(100)
    pace.settled(101, orders=1)
    assert pace.opens_at() == 160
    pace.change(paused=True, pace_s=None)
    assert pace.opens_at() is None
    pace.step(2)
    assert pace.opens_at() == 0
    pace.opened(110)
    assert pace.opens_at() == 170
    pace.opened(170)
    assert pace.opens_at() is None


def test_a_running_clock_takes_no_step() -> None:
    with pytest.raises(ClockRuns, match="pause the clock first"):
        Pace(1.0).step(1)
