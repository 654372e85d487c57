"""Connections to the API: how many there may be, and how long one may keep silent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from services.market.api.line import with_line

TURNED_AWAY_AT_ONCE: Final = 64
"""So many beyond the limit are still told that they are too many; others are cut off unheard."""

_CROWDED: Final = "crowded"
"""Where the state of a request says that its connection is one too many."""


@dataclass(frozen=True, slots=True)
class Limits:
    """``connections`` are served at once. One on which no whole request has come for ``silent_s``
    is ended: it costs a descriptor, and nobody may hold these for nothing."""

    connections: int
    silent_s: float = 10.0


def is_crowded(scope: Scope) -> bool:
    """Whether a request came over a connection that is one too many."""
    crowded: bool = scope.get("state", {}).get(_CROWDED, False)
    return crowded


class Connection(H11Protocol):
    """HTTP, where an answer may reach the connection that it goes over."""

    def __init__(self, limits: Limits, **settings: Any) -> None:
        super().__init__(**settings)
        self._limits = limits
        self._silence: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        beyond = len(self.connections) - self._limits.connections
        if beyond > TURNED_AWAY_AT_ONCE:
            transport.abort()
            return
        self.app_state = with_line(self.app_state, transport) | {_CROWDED: beyond > 0}
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._awaits_a_request():
            self._watch_no_more()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._awaits_a_request():
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch_no_more()
        super().connection_lost(exc)

    def _awaits_a_request(self) -> bool:
        """Nothing is being answered, or a request that has not come to its end."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def _watch(self) -> None:
        self._watch_no_more()
        self._silence = self.loop.call_later(self._limits.silent_s, self.transport.abort)

    def _watch_no_more(self) -> None:
        if self._silence is not None:
            self._silence.cancel()
            self._silence = None


def within(limits: Limits) -> Any:
    """What makes the connections of a server, in the place of a class of them."""
    return partial(Connection, limits)
