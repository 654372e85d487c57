"""Replays a ledger tick by tick and names the first thing that is wrong with it.

Everything is computed anew from what the ledger says went in: the settlement from the orders, the
price from the settlement, the hash from the bytes. A ledger that passes could have been written by
this market and by no faulty one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from energymarket.errors import EnergyMarketError
from services.market.domain import audit, record
from services.market.domain.audit import Residuals
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, PriceModel, next_price
from services.market.domain.record import SettledTick
from services.market.domain.rules import Rules
from services.market.domain.settlement import OrderColumns, Roster, settle


class LedgerFault(EnergyMarketError):
    """What is wrong, in which tick: one sentence."""


@dataclass(frozen=True, slots=True)
class StoredTick:
    """A tick as the ledger holds it."""

    tick: int
    epoch: int
    body: bytes
    tick_hash: bytes


class Replay:
    """The state of a world, moved on by ``feed``; starts before the first tick."""

    def __init__(self, rules: Rules) -> None:
        self.ticks = 0
        self.home_ticks = 0
        self.residuals = Residuals()
        self.head_hash = record.genesis_hash(rules)
        self.stock_wh: dict[int, int] = {}
        self.balance_neur: dict[int, int] = {}
        self._rules = rules
        self._model: PriceModel = PRICE_MODELS[rules.price_model]()
        self._price_neur_per_wh = self._model.start_neur_per_wh
        self._tick = self._epoch = 0

    def feed(self, stored: StoredTick) -> SettledTick:
        """Checks the next tick, takes it in and gives it opened; raises ``LedgerFault``."""
        self._check_order(stored)
        tick_hash = record.chained_hash(self.head_hash, stored.body)
        if tick_hash != stored.tick_hash:
            raise LedgerFault(f"tick {stored.tick}: the hash chain is broken (I5)")
        settled = self._decoded(stored)
        roster = self._roster(settled)
        self._check_orders(settled, roster)
        residuals = audit.residuals(roster, settled)
        if not residuals.ok:
            raise LedgerFault(f"tick {stored.tick}: the books do not balance (I1, I2): {residuals}")
        self._check_settlement(settled, roster)
        self._check_price(settled)
        self.stock_wh.update(zip(settled.home, settled.outcome.stock_wh, strict=True))
        self.balance_neur.update(zip(settled.home, settled.outcome.balance_neur, strict=True))
        self.head_hash, self._tick, self._epoch = tick_hash, stored.tick, stored.epoch
        self._price_neur_per_wh = settled.next_price_neur_per_wh
        self.ticks += 1
        self.home_ticks += len(settled.home)
        return settled

    def accounts(self) -> dict[int, tuple[int, int]]:
        """(stock, balance) of each home that has had part in a tick, by home id."""
        return {h: (wh, self.balance_neur[h]) for h, wh in self.stock_wh.items()}

    def _check_order(self, stored: StoredTick) -> None:
        if stored.tick != self._tick + 1:
            raise LedgerFault(f"tick {stored.tick} follows tick {self._tick} (I6)")
        if stored.epoch < self._epoch:
            raise LedgerFault(
                f"tick {stored.tick}: epoch {stored.epoch} follows epoch {self._epoch} (I6)"
            )

    def _decoded(self, stored: StoredTick) -> SettledTick:
        try:
            settled = record.from_bytes(stored.body)
        except record.RecordCorrupt as error:
            raise LedgerFault(f"tick {stored.tick}: {error}") from error
        if settled.tick != stored.tick:
            raise LedgerFault(f"tick {stored.tick}: its record is of tick {settled.tick}")
        if settled.opening.price_neur_per_wh != self._price_neur_per_wh:
            raise LedgerFault(f"tick {stored.tick}: it did not open at the price that was made")
        return settled

    def _roster(self, settled: SettledTick) -> Roster:
        homes = settled.home
        if any(a >= b for a, b in pairwise(homes)):
            raise LedgerFault(f"tick {settled.tick}: a home has two outcomes, or none (I3)")
        return Roster(
            home=homes,
            stock_wh=[self.stock_wh.get(home, 0) for home in homes],
            balance_neur=[self.balance_neur.get(home, 0) for home in homes],
        )

    def _check_orders(self, settled: SettledTick, roster: Roster) -> None:
        orders = settled.orders
        for row, home in enumerate(settled.home):
            if not _possible(orders, row, roster.stock_wh[row]):
                raise LedgerFault(f"tick {settled.tick}: home {home} has an impossible order")

    def _check_settlement(self, settled: SettledTick, roster: Roster) -> None:
        outcome = settle(
            roster,
            settled.orders,
            price_neur_per_wh=settled.opening.price_neur_per_wh,
            seed=self._rules.seed,
            tick=settled.tick,
            credit=self._rules.credit,
        )
        if outcome != settled.outcome:
            raise LedgerFault(f"tick {settled.tick}: its orders settle to another outcome")

    def _check_price(self, settled: SettledTick) -> None:
        outcome = MarketOutcome(
            price_neur_per_wh=settled.opening.price_neur_per_wh,
            temperature_mdeg=settled.opening.temperature_mdeg,
            homes=len(settled.home) - settled.absent,
            bought_wh=sum(settled.outcome.bought_wh),
            sold_wh=sum(settled.outcome.sold_wh),
            events=settled.opening.events,
        )
        if next_price(self._model, outcome) != (settled.next_price_neur_per_wh, settled.terms):
            raise LedgerFault(f"tick {settled.tick}: the next price is not what its terms make it")


def _possible(orders: OrderColumns, row: int, stock_wh: int) -> bool:
    """Whether an order could have been taken, given the home's stock before it."""
    policy, amount = orders.policy[row], orders.amount_wh[row]
    has_wh = stock_wh + orders.produced_wh[row] - orders.consumed_wh[row]
    if policy == 0:
        return not (amount or orders.produced_wh[row] or orders.consumed_wh[row])
    if 1 <= policy <= 3:
        return 0 <= amount <= has_wh
    return 4 <= policy <= 6 and amount == -has_wh > 0
