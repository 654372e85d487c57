"""A market that was superseded ends also when it has nothing to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.market.domain.rules import Rules
from services.market.errors import EpochLost
from services.market.ledger import Ledger
from tests.world import STRICT, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(f"sqlite:///{tmp_path}/ledger.db", tempo=STRICT)
    made.turn_until_tick(2)
    return made


def _supersede(world: World) -> None:
    other = Ledger.open(world.url, Rules(seed=world.seed))
    other.raise_epoch(world.clock.now())
    other.close()


def test_a_superseded_market_that_waits_for_orders_ends_within_seconds(world: World) -> None:
    """It would take every other order from the market that has taken over, and hold it."""
    world.homes[1].stopped = True
    world.turn(10)
    _supersede(world)
    with pytest.raises(EpochLost):
        world.pass_time(5)


def test_a_superseded_market_that_waits_for_inputs_ends_within_seconds(world: World) -> None:
    world.weather.stopped = world.external.stopped = True
    world.store.close()
    world.restart_market()
    world.turn(3)
    _supersede(world)
    with pytest.raises(EpochLost):
        world.pass_time(5)
