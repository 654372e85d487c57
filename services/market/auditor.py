"""Audits a ledger from where its history begins to its newest tick, in one go or bit by bit."""

from __future__ import annotations

from contextlib import closing

from services.market.domain.replay import Replay
from services.market.ledger import History


class Auditor:
    """Replays what the ledger holds; a market may be writing it meanwhile."""

    def __init__(self, history: History) -> None:
        """Nothing is read before ``advance``."""
        self._history = history
        self._rules = history.rules()
        self.from_tick = 0
        """The first tick that was replayed."""
        self.replay: Replay | None = None

    def advance(self, home_ticks: int | None = None) -> bool:
        """Replays on, about ``home_ticks`` rows of homes (None: all there are); True at the newest
        tick, with the accounts compared.

        Raises ``LedgerFault`` for the first thing that is wrong, ``LedgerUnavailable``.
        """
        replay = self._begun()
        enough = None if home_ticks is None else replay.home_ticks + home_ticks
        snapshots = set(self._history.snapshot_ticks())
        with closing(self._history.stored_ticks(replay.tick + 1)) as rows:
            for stored in rows:
                if stored.tick != replay.tick + 1 and self._is_forgotten(replay.tick):
                    return False  # trimmed just now: the next call begins where the history does
                replay.feed(stored)
                if replay.tick in snapshots:
                    self._compare_snapshot(replay)
                if enough is not None and replay.home_ticks >= enough:
                    return False
        return self._compare_accounts(replay)

    def _begun(self) -> Replay:
        """The replay so far; a new one if the ledger has meanwhile forgotten what comes next."""
        if self.replay is None or self._is_forgotten(self.replay.tick):
            base = self._history.base()
            pages = self._history.snapshot_pages(base.tick) if base else []
            self.replay = Replay(self._rules, (base, pages) if base else None)
            self.from_tick = self.replay.tick + 1
        return self.replay

    def _is_forgotten(self, tick: int) -> bool:
        base = self._history.base()
        return base is not None and tick < base.tick

    def _compare_snapshot(self, replay: Replay) -> None:
        snapshot = self._history.snapshot(replay.tick)
        if snapshot:
            replay.check_snapshot(snapshot, self._history.snapshot_pages(replay.tick))

    def _compare_accounts(self, replay: Replay) -> bool:
        """False when a further tick was settled just now: then the accounts are later ones."""
        tick, accounts = self._history.newest_accounts()
        if tick != replay.tick:
            return False
        replay.check_accounts(*accounts, "its account")
        return True
