"""A file on its way to a reader, as plain ASGI: it is closed whatever happens, and a reader whose
connection takes nothing does not keep it open."""

from __future__ import annotations

import asyncio
import os
from typing import BinaryIO, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.market.api.line import Line
from services.market.api.stream import until_gone

_PIECE_BYTES: Final = 256 * 1024


class Download(StreamingResponse):
    """An open file, to be saved as ``filename``; cut off when none of it is taken any more."""

    def __init__(self, file: BinaryIO, *, media_type: str, filename: str, stalled_s: float) -> None:
        size_bytes = os.fstat(file.fileno()).st_size
        headers = {
            "Content-Length": str(size_bytes),
            "Content-Disposition": f'attachment; filename="{filename}"',
        }
        super().__init__((), media_type=media_type, headers=headers)
        self._file, self._stalled_s = file, stalled_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.Event()
        watching = asyncio.create_task(until_gone(receive, gone.set))
        try:
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            more = True
            while more and not gone.is_set():
                piece = await run_in_threadpool(self._file.read, _PIECE_BYTES)
                more = bool(piece)
                async with asyncio.timeout(self._stalled_s):
                    await send({"type": "http.response.body", "body": piece, "more_body": more})
        except TimeoutError:
            Line.of(scope).cut()
        finally:
            watching.cancel()
            self._file.close()
