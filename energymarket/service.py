"""The shape that every service has, so that one loop runs them all, embedded or on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from energymarket.bus.port import BusEvent


class Service(Protocol):
    """Collects, then acts. One thread calls it; it never blocks on the network or on time."""

    def start(self) -> None:
        """Opens the bus; called once, before anything else."""

    def handle(self, events: Sequence[BusEvent]) -> None:
        """Takes in what the bus delivered, without acting on it yet where that can wait."""

    def act(self) -> float | None:
        """Does all that is due, and returns when to be called again at the latest.

        That moment is on the clock's monotonic scale; None means not before something comes in.
        """

    def stop(self) -> None:
        """Says good-bye and closes the bus. At most a second."""

    @property
    def finished(self) -> bool:
        """True when there is nothing left to do, ever."""
