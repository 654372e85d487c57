"""The news of settled ticks as the ledger has them, in bytes: read a block at a time, for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool

from services.market.api import news
from services.market.api.context import ApiContext
from services.market.ledger import Headline

_BLOCKS: Final = 4
_BLOCK_TICKS: Final = 500
_BLOCK_HOME_TICKS: Final = 500_000


@dataclass(frozen=True, slots=True)
class Block:
    """The news of ticks without a gap, as far as the ledger has them: ``asked`` is the tick that
    was asked for, ``first`` the first that there was."""

    asked: int
    first: int
    frames: Sequence[bytes]

    def covers(self, tick: int) -> bool:
        return self.asked <= tick < self.first + len(self.frames)


class Archive:
    """Lives on the API's event loop. Everything here raises ``LedgerUnavailable``."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._blocks: deque[Block] = deque(maxlen=_BLOCKS)
        self._reading = asyncio.Lock()
        self._newest_homes = 0, 0

    async def newest(
        self, tick: int, terms: Sequence[tuple[str, int]], head_hash: bytes
    ) -> list[bytes]:
        """The news of the newest tick; empty if the ledger has it no more."""
        rows = await run_in_threadpool(self._context.history.prices, tick, tick + 1, 1)
        return await self._in_bytes([Headline(row, terms, head_hash) for row in rows])

    async def block_with(self, tick: int, end: int) -> Block:
        """The news from ``tick`` on out of the ledger, one reading at a time: those who come back
        together after a restart have most of it in common."""
        async with self._reading:
            for block in self._blocks:
                if block.covers(tick):
                    return block
            self._blocks.append(await self.read(tick, end))
            return self._blocks[-1]

    async def read(self, from_tick: int, to_tick: int) -> Block:
        """The news from one tick up to another, the latter not included, as many as are read at a
        time."""
        found = await run_in_threadpool(
            self._context.history.headlines, from_tick, to_tick, _BLOCK_TICKS, _BLOCK_HOME_TICKS
        )
        first = found[0].row.tick if found else to_tick
        return Block(from_tick, first, await self._in_bytes(found))

    async def _in_bytes(self, lines: Sequence[Headline]) -> list[bytes]:
        if not lines:
            return []
        first, last = lines[0].row.tick, lines[-1].row.tick
        begun = await run_in_threadpool(self._context.history.events_begun_in, first, last + 1)
        before = await self._homes_in(first - 1)
        frames = []
        for line in lines:
            starts = [event for event in begun if event.start_tick == line.row.tick]
            frames.append(news.of_tick(line, starts, before))
            before = line.row.homes
        self._newest_homes = last, lines[-1].row.homes
        return frames

    async def _homes_in(self, tick: int) -> int | None:
        """How many homes took part in a tick; None when the ledger does not hold it any more."""
        if tick < 1:
            return 0
        if self._newest_homes[0] == tick:
            return self._newest_homes[1]
        rows = await run_in_threadpool(self._context.history.prices, tick, tick + 1, 1)
        return rows[0].homes if rows else None
