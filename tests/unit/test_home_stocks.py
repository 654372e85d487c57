"""A home knows its stock, whoever ordered for it before."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from energymarket import topology
from energymarket.bus.memory import MemoryBus
from energymarket.bus.port import Publication
from energymarket.messages import Refused
from services.home.hosted import FewHomes
from services.home.service import HomeService
from tests.world import STRICT, Member, World


def _world(tmp_path: Path) -> World:
    world = World(f"sqlite:///{tmp_path}/ledger.db", tempo=STRICT)
    world.turn_until_tick(3)
    return world


def _stock_that_it_believes_in(home: HomeService) -> dict[int, int]:
    assert isinstance(home.hosted, FewHomes)
    return home.hosted.stock_wh


def _replace(world: World, *, homes: int) -> None:
    """The first home process dies, and comes back with another number of homes."""
    old = world.homes[0]
    world.broker.drop_connection(old.bus)  # type: ignore[arg-type]
    old.bus.close()
    bus = MemoryBus(world.broker)
    service = HomeService(
        bus=bus,
        clock=world.clock,
        log=world.log.log,
        new_key=partial(str, f"again{world.tick}"),
        instance="instance-0",
        homes=homes,
    )
    service.start()
    world.homes[0] = Member(service, bus)


def test_a_process_that_comes_back_larger_learns_what_its_old_order_did(tmp_path: Path) -> None:
    """It joins in the middle of a tick that its predecessor has ordered for."""
    world = _world(tmp_path)
    for size in (2, 1) * 12:  # in one of the ticks the stock changes
        world.homes[1].stopped = True
        world.turn(10)  # a tick is open, and all but one have ordered
        open_since = world.tick
        _replace(world, homes=size)
        world.turn(4)
        assert world.tick == open_since
        world.homes[1].stopped = False
        world.turn_until_tick(open_since + 1)
        world.turn(3)
    refused = {line["reason"] for line in world.log.saying("refused")}
    assert "stock_mismatch" not in refused


def test_a_refusal_of_a_tick_that_is_settled_does_not_turn_the_stock_back(tmp_path: Path) -> None:
    world = _world(tmp_path)
    service = world.homes[0].service
    assert isinstance(service, HomeService)
    before = dict(_stock_that_it_believes_in(service))
    bus = MemoryBus(world.broker)
    bus.open(topology.Topology)
    (home,) = before
    refusal = Refused(
        run=world.market.books.world.run,
        fleet=service._fleet,
        tick=1,
        reason="stock_mismatch",
        detail="",
        home=[home],
        stock_wh=[123_456],
    )
    bus.publish([Publication(topology.RECEIPTS, service._fleet, refusal)])
    world.homes[0].turn()
    assert 123_456 not in _stock_that_it_believes_in(service).values()
