"""The settled ticks as they come: gathered, and put into bytes, once for all readers of the stream.

One task looks at the market's view; while somebody reads, it makes the news of each new tick and
tells the readers: those who wait for it over their connections, the others by waking their answers.
No reader has a buffer of its own. One that falls behind reads on from the ledger, a block at a time
that all who are behind share; one whose connection takes nothing for a while is cut off, with no
more waiting for it than a connection holds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from fastapi.sse import KEEPALIVE_COMMENT

from services.market.api import news
from services.market.api.archive import Archive
from services.market.api.context import ApiContext
from services.market.api.line import Line
from services.market.errors import LedgerUnavailable
from services.market.view import View

STALLED_S: Final = 10.0
"""So long a connection may take nothing of what was sent; then its reader is cut off."""

PIECE_BYTES: Final = 64 * 1024
"""The most that is sent to a reader at once, but for a single tick that is larger."""

_LOOK_S: Final = 0.02
_KEPT: Final = 1_000
_CLOCK_AGAIN_S: Final = 1.0
_PING_AGAIN_S: Final = 15.0

_TOLD_AT_ONCE: Final = 50
_BREATH_S: Final = 0.001
"""Between so many readers and the next the market's thread may have the interpreter."""

_BUSY_PART: Final = 0.1
"""The part of a processor that telling those who keep up may take, and telling those who are behind
as well: of a market that is faster than that they hear several ticks at a time."""

_FEW: Final = 20
"""So many readers may read on from the ledger as fast as they can."""


@dataclass(slots=True)
class Reader:
    """Somebody who listens: up to where, and since when they have been sent something that their
    connection has not taken yet. Who ``waits`` has nothing under way."""

    heard: int
    line: Line
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    waits: bool = False
    greeted: bool = False
    clock: bytes = b""
    pings: int = 0
    sending_since: float | None = None
    gone: bool = False

    def leave(self) -> None:
        """They are not there any more."""
        self.gone = True
        self.woken.set()


class Feed:
    """Lives on the API's event loop; ``run`` it as a task."""

    def __init__(self, context: ApiContext, *, stalled_s: float = STALLED_S) -> None:
        self._context, self._stalled_s = context, stalled_s
        self._readers: dict[int, Reader] = {}
        self._recent: deque[bytes] = deque(maxlen=_KEPT)
        self._newest = 0
        self._archive = Archive(context)
        self._turn = asyncio.Lock()
        self._joined: dict[int, tuple[bytes, int]] = {}
        self._clock, self._clock_at = b"", 0.0
        self._clock_of: tuple[object, ...] = ()
        self._pings, self._told_at = 0, time.monotonic()
        self.ended = False

    # ------------------------------------------------------------------------------ looking out

    async def run(self) -> None:
        """Looks for news until the server ends."""
        view = self._context.view
        self._newest = view.last.tick if view.last else 0
        while not self._context.stopping.is_set():
            rest_s = await self._tell() if await self._look() else 0.0
            self._cut_off_the_stalled()
            await self._rest(max(rest_s, _LOOK_S))
        self.ended = True
        for reader in list(self._readers.values()):
            reader.woken.set()
            if reader.sending_since is not None:  # there is no waiting for it
                reader.line.cut()

    async def _look(self) -> bool:
        """Takes in what is new; True when there is something to tell."""
        view, now = self._context.view, time.monotonic()
        tick = view.last.tick if view.last else 0
        new = False
        if tick > self._newest:
            try:
                await self._take_in(view, tick)
            except LedgerUnavailable:
                return False  # it is looked for again
            self._joined.clear()
            new = True
        if self._readers and self._clock_is_old(view, now):
            self._set_clock(view, now)
            new = True
        if new:
            self._told_at = now
        elif now >= self._told_at + _PING_AGAIN_S:
            self._pings, self._told_at, new = self._pings + 1, now, True
        return new and bool(self._readers)

    async def _take_in(self, view: View, tick: int) -> None:
        """Moves on to ``tick``, with the ticks up to it at hand if there is anyone to read them."""
        if not self._readers:
            self._recent.clear()
        elif view.last and tick == self._newest + 1:
            head_hash = bytes.fromhex(view.head_hash)
            self._keep(await self._archive.newest(tick, view.last.terms, head_hash), ticks=1)
        else:
            await self._take_in_several(tick)
        self._newest = tick

    async def _take_in_several(self, tick: int) -> None:
        # Of a market that runs faster than anyone reads, the oldest are left to the ledger.
        following = first = max(self._newest + 1, tick - _KEPT + 1)
        frames: list[bytes] = []
        while following <= tick:
            block = await self._archive.read(following, tick + 1)
            frames += block.frames
            following = block.first + len(block.frames)
        if first > self._newest + 1:
            self._recent.clear()
        self._keep(frames, ticks=tick + 1 - first)

    def _keep(self, frames: Sequence[bytes], *, ticks: int) -> None:
        """Adds the news of the newest ticks; a reader's place is counted back from the last."""
        if len(frames) == ticks:
            self._recent.extend(frames)
        else:
            self._recent.clear()

    def _clock_is_old(self, view: View, now: float) -> bool:
        """It says something else than the last one, or ticks have gone on for a second."""
        if _signs(view)[:-1] != self._clock_of[:-1]:
            return True
        return _signs(view) != self._clock_of and now >= self._clock_at + _CLOCK_AGAIN_S

    def _set_clock(self, view: View, now: float) -> None:
        self._clock, self._clock_at, self._clock_of = news.of_clock(view), now, _signs(view)

    # ---------------------------------------------------------------------------------- telling

    async def _tell(self) -> float:
        """Tells all readers, some at a time; returns how long to rest from that, in seconds."""
        begun_s = time.thread_time()
        for number, reader in enumerate(list(self._readers.values()), start=1):
            if not self._told_at_once(reader):
                reader.woken.set()
            if number % _TOLD_AT_ONCE == 0:
                await asyncio.sleep(_BREATH_S)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return _rest_from(time.thread_time() - begun_s)

    def _told_at_once(self, reader: Reader) -> bool:
        """Tells a reader all that is new, if it waits for that and its line takes it: for most of
        them, and a fraction of what waking its answer costs."""
        if not (reader.waits and reader.line.is_free()):
            return False
        ticks = self._recent_after(reader)
        if ticks is None:
            return False
        if said := self._with_the_rest(reader, ticks):
            reader.line.write(said)
        return self.is_up_to_date(reader)

    async def _rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0 and not self._context.stopping.is_set():
            await asyncio.sleep(min(left_s, _LOOK_S))

    def _cut_off_the_stalled(self) -> None:
        since = time.monotonic() - self._stalled_s
        for reader in list(self._readers.values()):
            if reader.sending_since is not None and reader.sending_since < since:
                reader.leave()
                reader.line.cut()

    @contextmanager
    def reader(self, heard: int, line: Line) -> Iterator[Reader]:
        """Somebody reads over ``line``, for as long as the block lasts, and has had the ticks up to
        ``heard``."""
        reader = Reader(heard, line, pings=self._pings)
        self._readers[id(reader)] = reader
        try:
            yield reader
        finally:
            del self._readers[id(reader)]

    async def piece_for(self, reader: Reader) -> bytes:
        """What to send next: ticks without a gap, the clock. Empty if there is nothing new, and for
        one who is behind if it has been sent.

        Those who are behind take turns, with rests between them: many who come back at once, or
        whose market is faster than they can be told, would take the interpreter for themselves.
        Raises ``LedgerUnavailable`` when the reader is behind and the ledger cannot be read.
        """
        if not reader.greeted:
            return self._greeting(reader)
        if self.is_up_to_date(reader):
            return self._with_the_rest(reader, b"")
        async with self._turn:
            if reader.gone or self.ended:
                return b""
            begun_s = time.monotonic()  # not of this thread alone: the ledger is read by another
            ticks = self._recent_after(reader)
            if ticks is None:
                ticks = await self._older_after(reader)
            said = self._with_the_rest(reader, ticks)
            if said and reader.line.is_free():
                reader.line.write(said)
                said = b""
            if len(self._readers) > _FEW:
                await asyncio.sleep(_rest_from(time.monotonic() - begun_s))
        return said

    def is_up_to_date(self, reader: Reader) -> bool:
        """Whether the reader has heard all that there is."""
        return reader.heard >= self._newest

    def _with_the_rest(self, reader: Reader, said: bytes) -> bytes:
        """What is said, and the clock or a sign of life if the reader has not had the newest."""
        if reader.clock is not self._clock:
            reader.clock = self._clock
            said += self._clock
        if reader.pings != self._pings:
            reader.pings = self._pings
            said = said or KEEPALIVE_COMMENT
        return said

    def _greeting(self, reader: Reader) -> bytes:
        """The first thing that a reader is told is the clock of its own moment."""
        view = self._context.view
        if len(self._readers) == 1:
            self._set_clock(view, time.monotonic())
        reader.greeted, reader.clock = True, self._clock
        return news.of_clock(view, first=True)

    def _recent_after(self, reader: Reader) -> bytes | None:
        """Some of the ticks that the reader has not heard, and what it has heard moves on; None
        when they must be read from the ledger."""
        if self.is_up_to_date(reader):
            return b""
        first = reader.heard + 1
        if first in self._joined:
            said, reader.heard = self._joined[first]
            return said
        skip = first - (self._newest + 1 - len(self._recent))
        if skip < 0:
            return None
        said, reader.heard = _joined(self._recent, skip, first)
        if reader.heard == self._newest:
            self._joined[first] = said, reader.heard
        return said

    async def _older_after(self, reader: Reader) -> bytes:
        """The same of ticks that are not at hand any more."""
        first = reader.heard + 1
        block = await self._archive.block_with(first, self._newest + 1)
        if not block.frames:
            reader.heard = block.first - 1
            return b""
        skip = max(first - block.first, 0)
        said, reader.heard = _joined(block.frames, skip, block.first + skip)
        return said


def _rest_from(work_s: float) -> float:
    """How long to rest from so much work, in seconds, for it to be the part that it may be."""
    return work_s * (1 / _BUSY_PART - 1)


def _signs(view: View) -> tuple[object, ...]:
    """What a new clock is told for: at once for the first ones, now and then for the last."""
    clock = view.clock
    tick = view.last.tick if view.last else 0
    return view.finished, clock.paused, clock.pace_s, clock.steps_left > 0, tick


def _joined(frames: Sequence[bytes], skip: int, first: int) -> tuple[bytes, int]:
    """Frames from ``skip`` on, the first of which is of tick ``first``, up to ``PIECE_BYTES``; and
    the tick of the last."""
    taken, size = [frames[skip]], len(frames[skip])
    for index in range(skip + 1, len(frames)):
        size += len(frames[index])
        if size > PIECE_BYTES:
            break
        taken.append(frames[index])
    return b"".join(taken), first + len(taken) - 1
