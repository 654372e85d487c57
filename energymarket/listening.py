"""How weather and external listen to the market's ticks.

Both keep nothing that matters: the market's newest message says which run, seed and tick count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energymarket.bus.port import Bus, BusEvent, Connected, Delivery
from energymarket.messages import TickAwaited, TickOpened, TickSettled
from energymarket.refusals import DeadLetterReason
from energymarket.telemetry import Log


@dataclass(frozen=True, slots=True)
class Heard:
    """What a batch of bus events says about the ticks.

    ``newest`` is the last word of the market, opened or awaited; ``opened`` the newest tick that
    was opened; ``missing`` all that it said to lack. ``reconnected`` is true when the broker may
    have lost what was published before.
    """

    newest: TickOpened | TickAwaited | None = None
    opened: TickOpened | None = None
    missing: frozenset[str] = frozenset()
    reconnected: bool = False


def listen(bus: Bus, events: Sequence[BusEvent], log: Log) -> Heard:
    """Sums up ``events``; dead-letters what is no tick message.

    A delivery is done with when it comes (``acknowledged_on_delivery``), which is safe here: the
    market repeats what it lacks until it is there.
    """
    newest: TickOpened | TickAwaited | None = None
    opened: TickOpened | None = None
    missing: set[str] = set()
    reconnected = False
    for event in events:
        if isinstance(event, Delivery):
            message = event.message
            if isinstance(message, TickOpened):
                newest = opened = message
            elif isinstance(message, TickAwaited):
                newest = message
                missing.update(message.missing)
            elif not isinstance(message, TickSettled):
                _put_away(bus, event, log)
        elif isinstance(event, Connected):
            reconnected = True
    return Heard(newest, opened, frozenset(missing), reconnected)


def _put_away(bus: Bus, delivery: Delivery, log: Log) -> None:
    """To the dead letters with it: no message at all, or one that has no business here."""
    reason: DeadLetterReason
    reason, detail = delivery.refusal or (
        "unexpected",
        f"{type(delivery.message).__name__} is not a tick message",
    )
    log.warning("message refused", reason=reason, detail=detail, exchange=delivery.exchange)
    bus.dead_letter(delivery, reason)
