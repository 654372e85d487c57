"""The stream's answer to one reader, as plain ASGI: a framework's tasks and queues for each of a
thousand readers would cost more than all that they are told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.exceptions import HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.market.api.feed import Feed, Reader
from services.market.api.line import Line
from services.market.errors import LedgerUnavailable


class NewsStream(StreamingResponse):
    """Server-sent events to one reader, who has heard the ticks up to ``heard``."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, heard: int) -> None:
        # The second is for proxies, which would gather what is to go out at once.
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        super().__init__((), headers=headers)
        self._feed, self._heard = feed, heard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        with self._feed.reader(self._heard, Line.of(scope)) as reader:
            watching = asyncio.create_task(until_gone(receive, reader.leave))
            try:
                # Who cannot be told on comes back, and tries again.
                with suppress(LedgerUnavailable):
                    await self._tell(reader, send)
            finally:
                watching.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _tell(self, reader: Reader, send: Send) -> None:
        while True:
            reader.woken.clear()
            said = await self._feed.piece_for(reader)
            if reader.gone or self._feed.ended:
                return
            if not said and not self._feed.is_up_to_date(reader):
                continue
            if not said:
                reader.waits = True
                await reader.woken.wait()
                reader.waits = False
                continue
            reader.sending_since = time.monotonic()
            await send({"type": "http.response.body", "body": said, "more_body": True})
            reader.sending_since = None


async def until_gone(receive: Receive, leave: Callable[[], None]) -> None:
    """Waits until the reader has hung up, and calls ``leave``."""
    # A body that is too large is refused where it would be read, which here is nowhere.
    with suppress(HTTPException):
        while (await receive())["type"] != "http.disconnect":
            pass
    leave()
