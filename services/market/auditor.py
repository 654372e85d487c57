"""Audits a ledger from where its history begins to its newest tick, in one go or bit by bit."""

from __future__ import annotations

from collections.abc import Callable

from services.market.domain.crosscheck import TickLine
from services.market.domain.record import SettledTick
from services.market.domain.replay import LedgerFault, Replay, check_accounts
from services.market.ledger import Inspection

Watch = Callable[[TickLine, SettledTick], None]


def _look_away(_line: TickLine, _settled: SettledTick) -> None:
    """Nobody else wants to see the ticks."""


class Auditor:
    """A replay of a ledger, that goes on with each look at it; a market may write it meanwhile."""

    def __init__(self) -> None:
        self.replay: Replay | None = None
        self.from_tick = 0
        """The first tick that is replayed; 0 before the first look."""

    def begin(self, look: Inspection) -> Replay:
        """The replay so far; a new one if the ledger has meanwhile forgotten what comes next.

        Raises ``LedgerFault``, ``LedgerUnreadable``.
        """
        base = look.base()
        if self.replay is None or (base and self.replay.tick < base.tick):
            start = (base, look.snapshot_pages(base.tick)) if base else None
            self.replay = Replay(look.rules(), start)
            self.from_tick = self.replay.tick + 1
        return self.replay

    def advance(
        self, look: Inspection, home_ticks: int | None = None, watch: Watch = _look_away
    ) -> bool:
        """Replays on, about ``home_ticks`` rows of homes (None: all there are); True at the newest
        tick, with the accounts compared. ``watch`` is shown each tick.

        Raises ``LedgerFault`` for the first thing that is wrong, ``LedgerUnreadable``.
        """
        replay = self.begin(look)
        enough = None if home_ticks is None else replay.home_ticks + home_ticks
        snapshots = look.snapshots()
        for line in look.ticks(after=replay.tick):
            watch(line, replay.feed(line.stored))
            snapshot = snapshots.get(replay.tick)
            if snapshot:
                replay.check_snapshot(snapshot, look.snapshot_pages(replay.tick))
            if enough is not None and replay.home_ticks >= enough:
                return False
        if max(snapshots, default=0) > replay.tick:
            raise LedgerFault(f"the snapshot of tick {max(snapshots)} is of no tick (I5)")
        check_accounts(replay.accounts, look.accounts())
        return True
