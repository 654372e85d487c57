"""``energymarket verify``: audits a ledger from its first tick to its last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from energymarket.errors import SettingsError
from services.market.domain.replay import LedgerFault, Replay
from services.market.ledger import History


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a ledger that passed came to."""

    ticks: int
    home_ticks: int
    head_hash: str
    seconds: float


def verify(ledger: Path) -> Verdict:
    """Replays the whole ledger: epochs, hash chain, balances, settlement, price, accounts.

    Raises ``LedgerFault`` for the first thing that is wrong, ``LedgerUnavailable`` or
    ``SettingsError`` when there is no ledger to read.
    """
    if not ledger.is_file():
        raise SettingsError(f"{ledger} is not there: name the ledger.db of a run.")
    begun = time.perf_counter()
    history = History.of_file(str(ledger))
    try:
        replay = Replay(history.rules())
        for stored in history.stored_ticks():
            replay.feed(stored)
        _check_accounts(replay, *history.accounts())
    finally:
        history.close()
    seconds = time.perf_counter() - begun
    return Verdict(replay.ticks, replay.home_ticks, replay.head_hash.hex(), seconds)


def _check_accounts(replay: Replay, stock_wh: list[int], balance_neur: list[int]) -> None:
    """I5: the accounts are those of the replay, and no other home has anything."""
    for home, (stock, balance) in enumerate(zip(stock_wh, balance_neur, strict=True), start=1):
        replayed = replay.stock_wh.get(home, 0), replay.balance_neur.get(home, 0)
        if (stock, balance) != replayed:
            raise LedgerFault(
                f"home {home}: its account holds {stock} Wh and {balance} nEUR, "
                f"the replay gives {replayed[0]} Wh and {replayed[1]} nEUR (I5)"
            )
    if len(replay.stock_wh) and max(replay.stock_wh) > len(stock_wh):
        raise LedgerFault(f"home {max(replay.stock_wh)} has traded and has no account (I5)")
