"""Replays a ledger tick by tick and names the first thing that is wrong with it.

Everything is computed anew from what the ledger says went in: the settlement from the orders, the
price from the settlement, the hash from the bytes. A ledger that passes could have been written by
this market and by no faulty one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from energymarket.columns import ascend, is_long
from energymarket.errors import EnergyMarketError
from services.market.domain import audit, record
from services.market.domain.accounts import Accounts, first_difference
from services.market.domain.audit import Residuals
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, PriceModel, next_price
from services.market.domain.record import SettledTick
from services.market.domain.rules import Rules
from services.market.domain.settlement import OrderColumns, Roster, settle
from services.market.domain.snapshot import Page, Snapshot, seal, unpacked

HIGHEST_HOME: Final = 2**24
"""Ids are given lowest first; a forged record must not make a replay fill the memory."""


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
    """The state of a world, moved on by ``feed``.

    Starts before the first tick, or for a ledger that has forgotten its beginning at a snapshot.
    """

    def __init__(self, rules: Rules, base: tuple[Snapshot, Sequence[Page]] | None = None) -> None:
        """Raises ``LedgerFault`` when the snapshot is not what was sealed."""
        self.ticks = 0
        self.home_ticks = 0
        self.residuals = Residuals()
        self.head_hash = record.genesis_hash(rules)
        self.accounts = Accounts()
        self._rules = rules
        self._model: PriceModel = PRICE_MODELS[rules.price_model]()
        self._price_neur_per_wh = self._model.start_neur_per_wh
        self.tick = self._epoch = 0
        if base:
            self._start_at(*base)

    def _start_at(self, snapshot: Snapshot, pages: Sequence[Page]) -> None:
        self.accounts = opened(snapshot, pages)
        self.head_hash, self.tick = snapshot.tick_hash, snapshot.tick
        self._epoch, self._price_neur_per_wh = snapshot.epoch, snapshot.next_price_neur_per_wh

    def check_snapshot(self, snapshot: Snapshot, pages: Sequence[Page]) -> None:
        """Checks a snapshot of the tick that was fed last; raises ``LedgerFault``."""
        accounts = opened(snapshot, pages)
        said = snapshot.tick_hash, snapshot.epoch, snapshot.next_price_neur_per_wh
        if said != (self.head_hash, self._epoch, self._price_neur_per_wh):
            raise LedgerFault(f"the snapshot of tick {self.tick} is not of that tick (I5)")
        check_accounts(self.accounts, accounts, f"the snapshot of tick {self.tick}")

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
        self.accounts.put(settled.home, settled.outcome.stock_wh, settled.outcome.balance_neur)
        self.head_hash, self.tick, self._epoch = tick_hash, stored.tick, stored.epoch
        self._price_neur_per_wh = settled.next_price_neur_per_wh
        self.ticks += 1
        self.home_ticks += len(settled.home)
        return settled

    def _check_order(self, stored: StoredTick) -> None:
        if stored.tick != self.tick + 1:
            raise LedgerFault(f"tick {stored.tick} follows tick {self.tick} (I6)")
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
        if not ascend(homes):
            raise LedgerFault(f"tick {settled.tick}: a home has two outcomes, or none (I3)")
        if homes and not 0 < homes[0] <= homes[-1] <= HIGHEST_HOME:
            raise LedgerFault(f"tick {settled.tick}: no market gives such home ids (I3)")
        self.accounts.grow_to(homes[-1] if homes else 0)
        return Roster(homes, *self.accounts.of(homes))

    def _check_orders(self, settled: SettledTick, roster: Roster) -> None:
        row = _first_impossible(settled.orders, roster.stock_wh)
        if row is not None:
            home = settled.home[row]
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
            bought_wh=settled.totals.bought_wh,
            sold_wh=settled.totals.sold_wh,
            events=settled.opening.events,
        )
        if next_price(self._model, outcome) != (settled.next_price_neur_per_wh, settled.terms):
            raise LedgerFault(f"tick {settled.tick}: the next price is not what its terms make it")


def _first_impossible(orders: OrderColumns, stock_wh: Sequence[int]) -> int | None:
    """The first row with an order that cannot have been taken."""
    if is_long(stock_wh):
        from services.market.domain import replay_arrays  # noqa: PLC0415 - see columns

        if replay_arrays.all_possible(orders, stock_wh):
            return None
    rows = enumerate(stock_wh)
    return next((row for row, stock in rows if not _possible(orders, row, stock)), None)


def _possible(orders: OrderColumns, row: int, stock_wh: int) -> bool:
    """Whether an order could have been taken, given the home's stock before it."""
    policy, amount = orders.policy[row], orders.amount_wh[row]
    has_wh = stock_wh + orders.produced_wh[row] - orders.consumed_wh[row]
    if policy == 0:
        return not (amount or orders.produced_wh[row] or orders.consumed_wh[row])
    if 1 <= policy <= 3:
        return 0 <= amount <= has_wh
    return 4 <= policy <= 6 and amount == -has_wh > 0


def opened(snapshot: Snapshot, pages: Sequence[Page]) -> Accounts:
    """The accounts in a snapshot; raises ``LedgerFault``."""
    sealed = seal(
        snapshot.tick, snapshot.epoch, snapshot.tick_hash, snapshot.next_price_neur_per_wh, pages
    )
    if sealed != snapshot.seal:
        raise LedgerFault(f"the snapshot of tick {snapshot.tick} is not what was sealed (I5)")
    try:
        stock_wh, balance_neur = unpacked(pages)
    except ValueError as error:
        raise LedgerFault(f"the snapshot of tick {snapshot.tick} holds {error}") from error
    if len(stock_wh) != len(balance_neur):
        raise LedgerFault(f"the snapshot of tick {snapshot.tick} holds uneven columns (I5)")
    return Accounts(stock_wh, balance_neur)


def check_accounts(replayed: Accounts, accounts: Accounts, where: str = "its account") -> None:
    """I5: each home has what its last tick left it with, all others nothing; ``LedgerFault``."""
    home = first_difference(replayed, accounts)
    if home is not None:
        found, wanted = accounts.held_by(home), replayed.held_by(home)
        raise LedgerFault(
            f"home {home}: {where} holds {found[0]} Wh and {found[1]} nEUR, "
            f"the replay gives {wanted[0]} Wh and {wanted[1]} nEUR (I5)"
        )
