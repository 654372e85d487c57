"""What the routes may reach of the market, and how."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, TypeVar

from fastapi import Depends, Request

from services.market.api.guard import ApiMetrics
from services.market.api.member_ids import MemberIds
from services.market.api.online_replay import OnlineReplay
from services.market.api.problems import unavailable
from services.market.api.schemas.run import Replayed
from services.market.books import KnownPolicies
from services.market.domain.record import Opening
from services.market.ledger import History
from services.market.shown import Shown
from services.market.view import View

Result = TypeVar("Result")

_AT_WORK_S: Final = 5.0
"""A market acts at least once a second, whatever happens."""


@dataclass(frozen=True, slots=True)
class ApiContext:
    """The market's view, its history, its commands; ``stopping`` is set when the server ends."""

    market: Shown
    settings: Mapping[str, Any]
    command_timeout_s: float
    metrics: ApiMetrics = field(default_factory=ApiMetrics)
    stopping: threading.Event = field(default_factory=threading.Event)
    prices_before: dict[int, int] = field(default_factory=dict)
    """Of one tick, the newest asked for: the price of the tick before it, nEUR/Wh."""
    member_ids: MemberIds = field(default_factory=MemberIds)
    replay: OnlineReplay = field(default_factory=OnlineReplay)
    copying: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a copy of the ledger is made: each takes as much room as the ledger."""

    @property
    def view(self) -> View:
        """The market as of its last step; take it once per request, so that it fits together."""
        return self.market.view

    @property
    def history(self) -> History:
        """The ledger's past, through connections of its own."""
        return self.market.history

    @property
    def policies(self) -> KnownPolicies:
        """The policies that homes have shown; it grows while it is read."""
        return self.market.policies

    def replayed(self, view: View) -> Replayed | None:
        """Replays a bit more of the ledger, and says how far that has come."""
        return self.replay.go_on(self.history, view.roster_homes)

    @property
    def market_acts(self) -> bool:
        """Whether the market's thread has been seen at work in the last seconds."""
        return self.market.idle_s < _AT_WORK_S

    def opening(self, view: View) -> Opening:
        """The tick that is open, or the newest that was; before the first a 503 problem."""
        if view.opening is None:
            waiting = ", ".join(view.waiting_for) or "its first tick"
            raise unavailable(f"no tick is open yet: waiting for {waiting}")
        return view.opening

    async def command(self, work: Callable[[], Result]) -> Result:
        """Has the market's thread do ``work`` between two steps; a 503 problem if it does not.

        Work that was not begun in time is withdrawn: then nothing happened.
        """
        future: Future[Result] = self.market.commands.submit(work)
        waiting = asyncio.wrap_future(future)
        done, _ = await asyncio.wait({waiting}, timeout=self.command_timeout_s)
        if done:
            return waiting.result()
        if future.cancel():
            raise unavailable("the market is busy; nothing was changed, try again")
        raise unavailable("the market is busy and may still do this; look before you try again")


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.app.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]
