"""A reader's connection, underneath the server's answer on it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.types import Scope

_TRANSPORT: Final = "transport"
"""Where the state of a request has the connection that it came over."""


class Line:
    """What an answer without end may do with the connection that it goes over.

    Such an answer goes in chunks (RFC 9112, 7.1), and a chunk is all that a piece of a body is: the
    server counts and keeps nothing of it, so that one may come in between its own.
    """

    def __init__(self, transport: asyncio.Transport | None, *, in_chunks: bool) -> None:
        """Without a transport, or not in chunks, it is never free."""
        self._transport, self._in_chunks = transport, in_chunks

    @classmethod
    def of(cls, scope: Scope) -> Line:
        """The line that a request came over; a server that is not ours gives none."""
        transport = scope.get("state", {}).get(_TRANSPORT)
        return cls(transport, in_chunks=scope["http_version"] == "1.1")

    def is_free(self) -> bool:
        """Whether ``write`` may be called: all that was sent before has been taken."""
        transport = self._transport
        return (
            self._in_chunks
            and transport is not None
            and not transport.get_write_buffer_size()
            and not transport.is_closing()
        )

    def write(self, body: bytes) -> None:
        """Sends one more piece of the answer's body, at once; never an empty one, which would be
        its end."""
        assert self._transport is not None
        assert body
        self._transport.write(b"%x\r\n%b\r\n" % (len(body), body))

    def cut(self) -> None:
        """Ends the connection, without waiting for it to take anything."""
        if self._transport is not None:
            self._transport.abort()


def with_line(state: dict[str, Any], transport: asyncio.Transport) -> dict[str, Any]:
    """The state of a connection's requests, with its line."""
    return {**state, _TRANSPORT: transport}
