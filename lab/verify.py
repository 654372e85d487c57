"""``energymarket verify``: audits a ledger from its first tick to its last."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from energymarket.errors import SettingsError
from services.market.auditor import Auditor
from services.market.domain.crosscheck import CrossCheck
from services.market.domain.replay import Replay
from services.market.ledger import Inspection


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
    """Replays the whole ledger as of one moment, which a market may be writing meanwhile: epochs,
    hash chain, balances, settlement, price, accounts, and all that is stored beside the records.

    Raises ``LedgerFault`` for the first thing that is wrong, ``LedgerUnreadable`` for a file that
    is damaged or no ledger, ``LedgerUnavailable`` or ``SettingsError`` when there is none to read.
    """
    ledger_file(ledger)
    begun = time.perf_counter()
    with Inspection.of_file(ledger) as look:
        look.check_kind()
        look.check_pages(thoroughly=True)
        replay = audited(look)
    seconds = time.perf_counter() - begun
    from_tick = replay.tick - replay.ticks + 1
    return Verdict(replay.ticks, replay.home_ticks, replay.head_hash.hex(), seconds, from_tick)


def ledger_file(ledger: Path) -> None:
    """Raises ``SettingsError`` for a path that is no file."""
    if ledger.is_dir():
        raise SettingsError(f"{ledger} is a folder: name the ledger.db in it.")
    if not ledger.is_file():
        raise SettingsError(f"{ledger} is not there: name the ledger.db of a run.")


def audited(look: Inspection) -> Replay:
    """The replay of all that a ledger holds; raises ``LedgerFault``, ``LedgerUnreadable``."""
    auditor = Auditor()
    replay = auditor.begin(look)
    check = CrossCheck(look.surroundings(), begins_at=auditor.from_tick)
    auditor.advance(look, watch=check.feed)
    check.finish()
    return replay
