"""``energymarket verify``: audits a ledger from its first tick to its last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from energymarket.errors import SettingsError
from services.market.auditor import Auditor
from services.market.ledger import History


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a ledger that passed came to."""

    ticks: int
    home_ticks: int
    head_hash: str
    seconds: float
    from_tick: int
    """1, or the first tick that a ledger has kept: it was verified from the snapshot before it."""


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
        auditor = Auditor(history)
        while not auditor.advance():
            pass  # a market writes on: its newest ticks are audited too
        replay = auditor.replay
        assert replay is not None
    finally:
        history.close()
    seconds = time.perf_counter() - begun
    return Verdict(
        replay.ticks, replay.home_ticks, replay.head_hash.hex(), seconds, auditor.from_tick
    )
