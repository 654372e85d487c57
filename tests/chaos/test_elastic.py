"""Homes from 5 to 50 to 5, again and again, while ticks run: nobody waits, no account is lost."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from energymarket.bus.memory import MemoryBus
from lab.verify import verify
from services.home.service import HomeService
from services.market.tick_cycle import Tempo
from tests.world import Member, World

FEW, MANY = 5, 50
DEADLINE_S, LEASE_S = 1.0, 3.0
STRICT = Tempo(tick_s=0, deadline_s=0)
WITH_DEADLINE = Tempo(tick_s=0, deadline_s=DEADLINE_S, lease_s=LEASE_S)


class Street:
    """A world whose homes come and go."""

    def __init__(self, ledger: Path, tempo: Tempo) -> None:
        self.ledger, self.luck = ledger, Random(1)
        # As many in flight as leave room to remember the instances of several rounds.
        self.world = World(
            f"sqlite:///{ledger}", homes=FEW, tempo=tempo, max_orders_in_flight=1_000
        )
        self.world.turn_until_tick(1)
        self.visitors: dict[str, Member] = {}
        self.held: dict[str, tuple[int, ...]] = {}  # by instance, when it was here last

    def grow(self, instances: list[str]) -> None:
        """They join in whatever order, and each trades within two ticks of its Welcome."""
        for instance in self.luck.sample(instances, len(instances)):
            self.visitors[instance] = self.world.add_home(instance=instance)
        welcomed_after: dict[str, int] = {}
        last_to_come = 0
        for _ in range(1_000):
            if last_to_come and self.world.tick >= last_to_come + 2:
                return
            self.turn()
            for instance in instances:
                homes = homes_of(self.visitors[instance])
                if homes and instance not in welcomed_after:
                    welcomed_after[instance] = self.world.tick
                    self.held.setdefault(instance, homes)
            if len(welcomed_after) == len(instances):
                last_to_come = last_to_come or self.world.tick
            for instance, tick in welcomed_after.items():
                if self.world.tick >= tick + 2:
                    assert set(homes_of(self.visitors[instance])) <= self.trading(), instance
        raise AssertionError("the ticks stand still")

    def shrink(self, *, politely: bool) -> None:
        """All visitors leave: with a good-bye, or without a word, until their lease has run out."""
        for member in self.visitors.values():
            if politely:
                member.service.stop()
            else:
                assert isinstance(member.bus, MemoryBus)
                self.world.broker.drop_connection(member.bus)
                member.bus.close()
            member.stopped = True
            self.world.homes.remove(member)
        self.visitors.clear()
        before = self.world.tick
        if not politely:
            self.world.pass_time(DEADLINE_S + LEASE_S + 1)
        for _ in range(100):
            if self.world.tick >= before + 3:
                return
            self.turn()
        raise AssertionError("the ticks stand still")

    def turn(self) -> None:
        self.world.clock.time_s += 0.01
        self.world.turn()

    def trading(self) -> set[int]:
        """The homes that traded in the newest tick."""
        last = self.world.market.books.last
        assert last is not None
        return {h for h, policy in zip(last.home, last.orders.policy, strict=True) if policy}

    def accounts(self) -> dict[int, tuple[int, int]]:
        """(stock, money) by home, of all that have ever been."""
        accounts = self.world.market.books.accounts
        columns = zip(accounts.stock_wh, accounts.balance_neur, strict=True)
        return dict(enumerate(columns, start=1))


def homes_of(member: Member) -> tuple[int, ...]:
    assert isinstance(member.service, HomeService)
    return member.service.home_ids


@pytest.mark.parametrize(
    ("tempo", "politely", "rounds"),
    [(STRICT, True, 20), (WITH_DEADLINE, True, 10), (WITH_DEADLINE, False, 10)],
    ids=["without a deadline", "with a deadline", "without a good-bye"],
)
def test_homes_scale_from_5_to_50_to_5_again_and_again_while_ticks_run(
    tmp_path: Path, tempo: Tempo, politely: bool, rounds: int
) -> None:
    """R2, I2, I3: no tick stands still, ids are used again, accounts go on where they stopped."""
    street = Street(tmp_path / "ledger.db", tempo)
    for number in range(rounds):
        # New ones, and in every other round those who were the first to come.
        generation = 0 if number % 2 else number
        instances = [f"visitor-{generation}-{n}" for n in range(MANY - FEW)]
        known = {name: street.held[name] for name in instances if name in street.held}
        street.grow(instances)
        assert street.trading() == set(range(1, MANY + 1))
        assert {name: homes_of(street.visitors[name]) for name in known} == known
        street.shrink(politely=politely)
        assert street.trading() == set(range(1, FEW + 1))
        resting = {home: street.accounts()[home] for home in range(FEW + 1, MANY + 1)}
        street.world.turn_until_tick(street.world.tick + 5)
        assert resting.items() <= street.accounts().items()
    assert not street.world.log.saying("refused")
    assert street.world.market.books.residuals.ok
    verdict = verify(street.ledger)
    assert verdict.head_hash == street.world.market.books.head_hash.hex()
