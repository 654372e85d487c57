"""Stand-ins for time, for the log, and for a market that only says which tick it wants."""

from __future__ import annotations

import logging
from typing import Any

import structlog
from structlog.testing import CapturingLogger

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.bus.port import Delivery, Publication
from energymarket.messages import Bulletin, Message, TickAwaited, TickOpened, TickSettled
from energymarket.telemetry import Log
from energymarket.topology import TICKS, market_topology


class FakeClock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.time_s = 1_000.0

    def monotonic(self) -> float:
        return self.time_s

    def now(self) -> float:
        return self.time_s


class RecordedLog:
    """A log that keeps its lines; ``log`` is what a service takes."""

    def __init__(self) -> None:
        self._lines = CapturingLogger()
        self.log: Log = structlog.wrap_logger(
            self._lines,
            processors=[structlog.processors.add_log_level],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each line as its fields; ``event`` is the text, ``level`` the level."""
        return [dict(call.kwargs) for call in self._lines.calls]

    def saying(self, text: str) -> list[dict[str, Any]]:
        """The lines whose text holds ``text``."""
        return [line for line in self.lines if text in line["event"]]


class FakeMarket:
    """Owns the exchanges as the market does, and says which tick it wants; settles nothing."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.bus = MemoryBus(broker)
        self.bus.open(lambda: market_topology(max_orders_in_flight=100))
        self.bus.poll(0)

    def opens(
        self, tick: int, *, run: str = "run-1", seed: int = 42, temperature_mdeg: int = 0
    ) -> None:
        """``TickOpened``."""
        self._say(
            TickOpened(
                run=run,
                epoch=1,
                seed=seed,
                tick=tick,
                price_neur_per_wh=200_000,
                temperature_mdeg=temperature_mdeg,
                events=[],
                homes=1,
                degraded=False,
            )
        )

    def awaits(self, tick: int, *missing: str, run: str = "run-1", seed: int = 42) -> None:
        """``TickAwaited``."""
        self._say(TickAwaited(run=run, epoch=1, seed=seed, tick=tick, missing=list(missing)))

    def settles(self, tick: int) -> None:
        """``TickSettled``."""
        self._say(
            TickSettled(
                run="run-1",
                epoch=1,
                tick=tick,
                price_neur_per_wh=200_000,
                next_price_neur_per_wh=200_000,
                homes=1,
                absent=0,
                given_wh=0,
                sold_wh=0,
                bought_wh=0,
                spilled_wh=0,
                unserved_wh=0,
                head_hash="0" * 64,
            )
        )

    def bulletins(self) -> list[Bulletin]:
        """The bulletins that came in since the last time, acknowledged."""
        deliveries = [event for event in self.bus.poll(0) if isinstance(event, Delivery)]
        self.bus.acknowledge(deliveries)
        return [d.message for d in deliveries if isinstance(d.message, Bulletin)]

    def _say(self, message: Message) -> None:
        self.bus.publish([Publication(TICKS, "", message)])
