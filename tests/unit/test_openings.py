"""With a deadline, how a tick was announced stands, whatever the next market finds missing."""

from __future__ import annotations

from pathlib import Path

from energymarket.messages import EventStart
from tests.world import STRICT, WITH_DEADLINE, World


def _world_with_an_open_tick(tmp_path: Path) -> World:
    """One home keeps the tick open; then weather and external go, and the market dies."""
    world = World(f"sqlite:///{tmp_path}/ledger.db", tempo=WITH_DEADLINE)
    world.turn_until_tick(2)
    world.homes[2].stopped = True
    world.turn(3)
    assert world.market.view.opening is not None
    assert world.market.view.opening.tick == world.tick + 1
    world.weather.stopped = world.external.stopped = True
    world.store.close()
    return world


def test_a_tick_that_was_announced_with_weather_is_not_reopened_without(tmp_path: Path) -> None:
    world = _world_with_an_open_tick(tmp_path)
    announced = world.market.view.opening
    world.restart_market()
    world.pass_time(12)
    assert announced is not None
    settled = world.market.books.ledger.history.settled(announced.tick)
    assert settled is not None
    assert settled.opening == announced
    assert not settled.opening.degraded


def test_an_event_begins_after_a_tick_that_a_dead_market_has_announced(tmp_path: Path) -> None:
    world = _world_with_an_open_tick(tmp_path)
    announced = world.market.view.opening
    assert announced is not None
    world.restart_market()
    strike = EventStart(name="strike", coefficient_neur_per_wh=30_000, ttl_ticks=1)
    _, begins = world.market.start_event(strike)
    world.pass_time(40)
    assert begins == announced.tick + 1
    settled = world.market.books.ledger.history.settled(begins)
    assert settled is not None
    assert "strike" in [event.name for event in settled.opening.events]


def test_without_a_deadline_no_opening_is_stored_for_it_follows_from_the_seed(
    tmp_path: Path,
) -> None:
    world = World(f"sqlite:///{tmp_path}/ledger.db", tempo=STRICT)
    world.turn_until_tick(2)
    assert world.market.books.ledger.opening(world.tick) is None
    assert world.market.books.ledger.opening(world.tick + 1) is None
