"""What the market shows to the API: one immutable picture, replaced after every step.

The API's threads read it without a lock; what they want changed they hand in as a command, which
the market's own thread carries out between two steps.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal, TypeVar

from services.market.domain.audit import Residuals
from services.market.domain.membership import Fleet
from services.market.domain.record import Opening, SettledTick
from services.market.pacing import ClockFace

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class View:
    """The market as of its last step.

    ``opening`` is the tick that is open, or the newest that was; None before the first.
    ``last`` is the newest settled tick. ``homes`` hold a place now, ``roster_homes`` take part in
    the tick of ``opening``. ``waiting_for`` names what holds the market up. A market that is
    ``standing_by`` only reads the ledger: it knows of no tick that is open, of neither broker nor
    weather, and opened_at is when it looked.
    """

    standing_by: bool
    run: str
    seed: int
    epoch: int
    price_model: str
    opening: Opening | None
    opened_at: float
    last: SettledTick | None
    head_hash: str
    residuals: Residuals
    fleets: tuple[Fleet, ...]
    homes: int
    roster_homes: int
    forecast_mdeg: dict[int, int]
    waiting_for: tuple[str, ...]
    broker_connected: bool
    store_answers: bool
    ledger_writable: bool
    finished: bool
    clock: ClockFace

    @property
    def role(self) -> Literal["settling", "standby"]:
        return "standby" if self.standing_by else "settling"


class Commands:
    """Work handed to the market's thread from others."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._queue: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Has ``work`` done on the market's thread; the future holds what came of it."""
        future: Future[Result] = Future()
        self._queue.put((work, future))
        self._wake()
        return future

    def run_all(self) -> int:
        """Does what was handed in; returns how much that was. The market's thread calls it."""
        done = 0
        while True:
            try:
                work, future = self._queue.get_nowait()
            except Empty:
                return done
            done += 1
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except Exception as error:  # noqa: BLE001 - whoever handed it in gets it
                    future.set_exception(error)
