"""What the view knows of a market: written by its link, read by whoever draws."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from lab.watch.answers import Audit, Clock, Event, Homes, Tick

State = Literal["LIVE", "STALE", "RECONNECTING", "PAUSED", "FINISHED"]

KEPT_PRICES: Final = 400
_STALE_AFTER_PACES: Final = 3
_STALE_AFTER_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One moment of it; ``prices`` are those of the newest ticks, the newest last."""

    url: str
    connected: bool = False
    trouble: str = ""
    """Why there is no connection."""
    clock: Clock | None = None
    tick: Tick | None = None
    tick_at_s: float = 0.0
    """When the newest tick was heard of, on the monotonic clock."""
    prices: tuple[float, ...] = ()
    events: Sequence[Event] = ()
    homes: Homes | None = None
    first_home_row: int = 0
    """How many homes stand on the pages before."""
    audit: Audit | None = None
    waiting_for: Sequence[str] = ()
    message: str = ""
    """What came of the last key."""
    token: str = ""
    """Shown only when the run itself made it."""

    def state(self, now_s: float) -> State:
        """In one word; ``now_s`` is on the monotonic clock."""
        if not self.connected:
            return "RECONNECTING"
        state = self.clock.state if self.clock else "running"
        if state == "finished":
            return "FINISHED"
        if state == "paused":
            return "PAUSED"
        pace_s = self.clock.pace_s if self.clock else 1.0
        patience_s = max(_STALE_AFTER_PACES * pace_s, _STALE_AFTER_S)
        return "LIVE" if now_s - self.tick_at_s <= patience_s else "STALE"


@dataclass(slots=True)
class Picture:
    """The newest moment; any thread may read it and change it."""

    shown: Shown
    _prices: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT_PRICES))
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def set(self, **changes: object) -> None:
        """Changes some fields of ``Shown``."""
        with self._turn:
            self.shown = replace(self.shown, **changes)  # type: ignore[arg-type]  # by name

    def take_ticks(self, ticks: Sequence[Tick]) -> None:
        """Settled ticks, oldest first; those that are known already are passed over."""
        newest = self.shown.tick.tick if self.shown.tick else 0
        fresh = [tick for tick in ticks if tick.tick > newest]
        if not fresh:
            return
        first = fresh[0].price_eur_per_kwh
        if not self._prices or self._prices[-1] != first:  # ticks before it were not heard of
            self._prices.append(first)
        self._prices.extend(tick.next_price_eur_per_kwh for tick in fresh)
        self.set(tick=fresh[-1], tick_at_s=time.monotonic(), prices=tuple(self._prices))

    def forget(self) -> None:
        """Another run is at this address: what is known is of the one before."""
        self._prices.clear()
        self.set(tick=None, prices=(), homes=None, events=(), audit=None, first_home_row=0)
