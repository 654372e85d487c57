"""What the stream tells, as the bytes that go over the wire: made once, for all readers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from fastapi.sse import format_sse_event

from energymarket.units import eur_per_kwh
from services.market.api.clock import clock_of
from services.market.api.price_rows import price_row
from services.market.ledger import Headline, StoredEvent
from services.market.view import View

RETRY_MS: Final = 1_000
"""How long a browser that lost its connection waits before it comes back."""


def of_tick(news: Headline, begun: Iterable[StoredEvent], homes_before: int | None) -> bytes:
    """A settled tick; before it the events that began in it, and how many homes there are now if
    they were more or fewer (``homes_before``) in the tick before. None: that is not known."""
    row = news.row
    said = [_event("event", _begun(event)) for event in begun]
    if homes_before is not None and homes_before != row.homes:
        change = {"tick": row.tick, "homes": row.homes, "before": homes_before}
        said.append(_event("homes", change))
    data = price_row(row).model_dump(mode="json") | {
        "head_hash": news.head_hash.hex(),
        "terms": [{"name": name, "eur_per_kwh": eur_per_kwh(value)} for name, value in news.terms],
    }
    said.append(_event("tick", data, identifier=str(row.tick)))
    return b"".join(said)


def of_clock(view: View, *, first: bool = False) -> bytes:
    """The clock; ``first`` tells a browser too how soon it may come back. It has no id: a reader
    that comes back gets the newest."""
    clock = clock_of(view, view.clock).model_dump(mode="json")
    return _event("clock", clock, retry_ms=RETRY_MS if first else None)


def _begun(event: StoredEvent) -> dict[str, Any]:
    return {
        "name": event.start.name,
        "coefficient_eur_per_kwh": eur_per_kwh(event.start.coefficient_neur_per_wh),
        "start_tick": event.start_tick,
        "ttl_ticks": event.start.ttl_ticks,
        "source": event.source,
    }


def _event(
    name: str, data: dict[str, Any], *, identifier: str | None = None, retry_ms: int | None = None
) -> bytes:
    text = msgspec.json.encode(data).decode()
    return format_sse_event(data_str=text, event=name, id=identifier, retry=retry_ms)
