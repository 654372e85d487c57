"""The ledger's replay on line: a bit of it with each call, so that nobody has to wait for it."""

from __future__ import annotations

import threading
from typing import Final

from services.market.api.schemas.run import Replayed
from services.market.auditor import Auditor
from services.market.domain.replay import LedgerFault
from services.market.errors import LedgerUnreadable
from services.market.ledger import History

_HOME_TICKS: Final = 10_000
"""Rows of homes per call: about a tenth of a second."""

_MOST_HOMES: Final = 20_000
"""Beyond that a single tick would take too long, and the replay too much memory."""


class OnlineReplay:
    """One replay for all who ask; a fault that was found once stays."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._auditor = Auditor()
        self._fault: str | None = None

    def go_on(self, history: History, homes: int) -> Replayed | None:
        """Replays a bit more; None with so many ``homes`` that only ``energymarket verify`` can.

        Raises ``LedgerUnavailable``.
        """
        if homes > _MOST_HOMES:
            return None
        with self._turn:
            complete = False
            if self._fault is None:
                try:
                    with history.inspection() as look:
                        complete = self._auditor.advance(look, _HOME_TICKS)
                except (LedgerFault, LedgerUnreadable) as fault:
                    self._fault = str(fault)
            return self._so_far(complete=complete)

    def _so_far(self, *, complete: bool) -> Replayed:
        replay = self._auditor.replay
        return Replayed(
            from_tick=self._auditor.from_tick,
            to_tick=replay.tick if replay else 0,
            head_hash=replay.head_hash.hex() if replay else "0" * 64,
            complete=complete,
            fault=self._fault,
        )
