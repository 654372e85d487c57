"""The standby: a market that does not settle, answers reads from the ledger, and waits its turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from energymarket.clock import Clock
from energymarket.messages import EventStart
from energymarket.telemetry import Log
from services.market.books import KnownPolicies
from services.market.domain.audit import Residuals
from services.market.errors import LedgerUnavailable, StandingBy
from services.market.leadership import Leadership
from services.market.ledger import History, Ledger
from services.market.metrics import MarketMetrics
from services.market.pacing import ClockFace
from services.market.view import Commands, View

LOOK_S: Final = 0.2
"""How often it looks: so soon it takes over from a market that died."""


class Standby:
    """``shown.Shown`` says what the API reads of it."""

    def __init__(
        self,
        ledger: Ledger,
        leadership: Leadership,
        clock: Clock,
        log: Log,
        metrics: MarketMetrics,
        *,
        pace_s: float,
    ) -> None:
        """``pace_s`` is the pace at which it would settle: of the one that settles it knows none,
        for that is not in the ledger."""
        self.metrics = metrics
        self.policies = KnownPolicies()
        self.commands = Commands(_no_hurry)
        self._ledger, self._leadership = ledger, leadership
        self._clock, self._log = clock, log
        self._face = ClockFace(paused=False, pace_s=pace_s)
        self._looked_at = clock.monotonic()
        self._readable = True
        self._newest = (-1, -1)
        self._members: tuple[object, ...] = ()
        self.view = self._picture()

    @property
    def history(self) -> History:
        return self._ledger.history

    @property
    def idle_s(self) -> float:
        return self._clock.monotonic() - self._looked_at

    def start_event(self, start: EventStart) -> tuple[int, int]:
        """Nothing can be started here: raises ``StandingBy``."""
        raise StandingBy(
            f"this market stands by and starts no {start.name}; ask the market that settles"
        )

    def change_clock(self, *, paused: bool | None, pace_s: float | None) -> ClockFace:
        """The clock is another market's: raises ``StandingBy``."""
        wanted = "pause" if paused is not None and pace_s is None else "pace"
        raise StandingBy(
            f"this market stands by and takes no {wanted}; ask the market that settles"
        )

    def step_clock(self, ticks: int) -> ClockFace:
        """The clock is another market's: raises ``StandingBy``."""
        raise StandingBy(
            f"this market stands by and opens none of {ticks} ticks; ask the market that settles"
        )

    def wait_to_lead(self, wait: Callable[[float], bool]) -> bool:
        """Stands by until it is ours to settle; False when ``wait(seconds)`` says to stop."""
        while not self.look():
            if wait(LOOK_S):
                return False
        return True

    def look(self) -> bool:
        """Answers what was asked, takes in what was settled, and asks for the right to settle."""
        self._looked_at = self._clock.monotonic()
        self.commands.run_all()
        try:
            if self._leadership.ask():
                return True
            self._take_in()
        except LedgerUnavailable as error:
            self.metrics.ledger_failures.inc()
            self._show_ledger(readable=False, why=str(error))
        else:
            self._show_ledger(readable=True)
        return False

    def _show_ledger(self, *, readable: bool, why: str = "") -> None:
        if readable == self._readable:
            return
        self._readable = readable
        if readable:
            self._log.info("the ledger answers again")
        else:
            self._log.error("standing by without a ledger", why=why)
        self.view = self._picture()

    def _take_in(self) -> None:
        """A new picture, when the ledger holds something new."""
        newest = self._ledger.newest_tick(), self._ledger.newest_epoch()
        members = tuple(fleet for fleet in self._ledger.fleets() if fleet.left_tick is None)
        if newest != self._newest or members != self._members:
            self._newest, self._members = newest, members
            self.view = self._picture()

    def _picture(self) -> View:
        ledger, world = self._ledger, self._ledger.world
        last, head_hash = ledger.head()
        if last:
            self.policies.learn(last)
        fleets = tuple(fleet for fleet in ledger.fleets() if fleet.left_tick is None)
        return View(
            standing_by=True,
            run=world.run,
            seed=world.seed,
            epoch=ledger.newest_epoch(),
            price_model=world.price_model,
            opening=last.opening if last else None,
            opened_at=self._clock.now(),
            last=last,
            head_hash=head_hash.hex(),
            residuals=Residuals(),
            fleets=fleets,
            homes=sum(len(fleet.homes) for fleet in fleets),
            roster_homes=len(last.home) if last else 0,
            forecast_mdeg={},
            waiting_for=("the market that settles",),
            broker_connected=False,
            store_answers=False,
            ledger_writable=self._readable,
            finished=False,
            clock=self._face,
        )


def _no_hurry() -> None:
    """Commands are looked at every ``LOOK_S``."""
