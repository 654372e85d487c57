"""What the API may reach of a market, whether it settles or stands by."""

from __future__ import annotations

from typing import Protocol

from energymarket.messages import EventStart
from services.market.books import KnownPolicies
from services.market.ledger import History
from services.market.metrics import MarketMetrics
from services.market.pacing import ClockFace
from services.market.view import Commands, View


class Shown(Protocol):
    """The side of a market that its API sees."""

    @property
    def view(self) -> View:
        """The market as of its last step."""

    @property
    def history(self) -> History:
        """The ledger's past, through connections of its own."""

    @property
    def policies(self) -> KnownPolicies:
        """The policies that homes have shown; it grows while it is read."""

    @property
    def commands(self) -> Commands:
        """Work for the market's own thread."""

    @property
    def metrics(self) -> MarketMetrics:
        """Its numbers for Prometheus."""

    @property
    def idle_s(self) -> float:
        """Since when the market's thread has not been seen at work, in seconds."""

    def start_event(self, start: EventStart) -> tuple[int, int]:
        """Has an event begin; to be run as a command. Returns (its id, its tick)."""

    def change_clock(self, *, paused: bool | None, pace_s: float | None) -> ClockFace:
        """Pauses, runs on, or takes another pace; to be run as a command. Returns the clock."""

    def step_clock(self, ticks: int) -> ClockFace:
        """Has a paused market open so many ticks; to be run as a command. Returns the clock."""


class OnDuty:
    """The market of a process as its API sees it: now the one that settles, now the standby."""

    def __init__(self, market: Shown) -> None:
        self.market = market

    @property
    def view(self) -> View:
        return self.market.view

    @property
    def history(self) -> History:
        return self.market.history

    @property
    def policies(self) -> KnownPolicies:
        return self.market.policies

    @property
    def commands(self) -> Commands:
        return self.market.commands

    @property
    def metrics(self) -> MarketMetrics:
        return self.market.metrics

    @property
    def idle_s(self) -> float:
        return self.market.idle_s

    def start_event(self, start: EventStart) -> tuple[int, int]:
        return self.market.start_event(start)

    def change_clock(self, *, paused: bool | None, pace_s: float | None) -> ClockFace:
        return self.market.change_clock(paused=paused, pace_s=pace_s)

    def step_clock(self, ticks: int) -> ClockFace:
        return self.market.step_clock(ticks)
