"""The settled ticks as they come, gathered once for all readers of the stream.

One task looks at the market's view; while somebody reads the stream it reads each new tick from the
ledger, once for all.
No reader has a buffer of its own: one that falls behind reads on from the ledger, and one that
does not read at all is held by its own connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool

from services.market.api.context import ApiContext
from services.market.ledger import PriceRow, StoredEvent

_LOOK_S: Final = 0.02
_KEPT: Final = 1_000
_STEP: Final = 500


@dataclass(frozen=True, slots=True)
class TickNews:
    """A settled tick, and the external events that began in it."""

    row: PriceRow
    begun: tuple[StoredEvent, ...]


class Feed:
    """Lives on the API's event loop; ``run`` it as a task."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._recent: deque[TickNews] = deque(maxlen=_KEPT)
        self._newest = 0
        self._readers = 0
        self._changed = asyncio.Event()
        self.ended = False

    async def run(self) -> None:
        """Looks for new ticks until the server ends."""
        view = self._context.view
        self._newest = view.last.tick if view.last else 0
        while not self._context.stopping.is_set():
            view = self._context.view
            tick = view.last.tick if view.last else 0
            if tick > self._newest:
                await self._take_in(tick)
                self._wake()
            await asyncio.sleep(_LOOK_S)
        self.ended = True
        self._wake()

    async def _take_in(self, tick: int) -> None:
        """Moves on to ``tick``, with the ticks up to it at hand if there is anyone to read them."""
        if self._readers:
            # Of a market that runs faster than anyone reads, the oldest are left to the ledger.
            first = max(self._newest + 1, tick - _KEPT + 1)
            if first > self._newest + 1:
                self._recent.clear()
            self._recent.extend(await self._read(first, tick + 1))
        else:
            self._recent.clear()
        self._newest = tick

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Somebody reads, for as long as the block lasts."""
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    async def after(self, tick: int) -> list[TickNews]:
        """The ticks after ``tick``, oldest first and without a gap, a few hundred at most.

        Waits until there is one; gives none only when the server ends.
        """
        while tick >= self._newest and not self.ended:
            await self._changed.wait()
        if self.ended:
            return []
        if self._recent and self._recent[0].row.tick <= tick + 1:
            skip = tick + 1 - self._recent[0].row.tick
            return list(self._recent)[skip : skip + _STEP]
        return await self._read(tick + 1, min(tick + 1 + _STEP, self._newest + 1))

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _read(self, from_tick: int, to_tick: int) -> list[TickNews]:
        history = self._context.history
        rows = await run_in_threadpool(history.prices, from_tick, to_tick, to_tick - from_tick)
        begun = await run_in_threadpool(history.events_begun_in, from_tick, to_tick)
        return [
            TickNews(row, tuple(event for event in begun if event.start_tick == row.tick))
            for row in rows
        ]
