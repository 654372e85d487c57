"""One load test from its first question to its last receipt."""

from __future__ import annotations

import socket
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final, Protocol
from urllib.parse import urlsplit

from energymarket.errors import SettingsError
from energymarket.runtime import StopRequest
from energymarket.settings import without_password
from lab.load import wire
from lab.load.account import Account
from lab.load.crew import Crew
from lab.load.errors import LoadFailed
from lab.load.market_api import MarketApi, PhaseTotals, PhaseWatch, RunFacts
from lab.load.plan import ENDLESS_TICK, LoadPlan
from lab.load.result import Result, Second

INTERRUPTED: Final = "by Ctrl-C"
"""How a run ended that was told to stop."""
CONNECT_S: Final = 5.0
_JOIN_S: Final = 30.0
_JOIN_S_PER_HOME: Final = 0.001
_STUCK_S: Final = 60.0
_WARM_UP_TICKS: Final = 3
_LEAD_S: Final = 0.2
_GONE_S: Final = 5.0
_LOOK_S: Final = 0.1
_SECOND_S: Final = 1.0
_PORTS: Final = {"amqp": 5672, "amqps": 5671}


class Watcher(Protocol):
    """Shows the run to a person while it goes on."""

    def joining(self, joined: int, fleets: int) -> None: ...

    def second(self, second: Second, account: Account) -> None: ...


class Interrupted(Exception):
    """Told to stop before anything was measured."""


def check_system(plan: LoadPlan, api: MarketApi) -> RunFacts:
    """What runs there, when it can take this load.

    Raises ``LoadFailed`` or ``SettingsError`` with what is missing.
    """
    facts = api.run()
    if facts.finished:
        raise LoadFailed(
            f"the run has ended at tick {facts.tick}, and settles no more: start the market with a "
            "larger ENERGYMARKET_MAX_TICKS, or 0."
        )
    if facts.standing_by:
        raise LoadFailed("this market stands by for another: name the one that settles by --api.")
    tick_s = facts.number("tick_seconds") or 0.0
    if plan.pace_s and tick_s > plan.pace_s:
        raise SettingsError(
            f"--pace is {plan.pace_s:g} s and the market's own is {tick_s:g} s a tick, so it could "
            "not keep up: start it with ENERGYMARKET_TICK_SECONDS=0, or choose a larger --pace."
        )
    deadline_s = facts.number("tick_deadline_seconds")
    if plan.pace_s and deadline_s and deadline_s <= plan.pace_s:
        raise SettingsError(
            f"--pace is {plan.pace_s:g} s and the market waits {deadline_s:g} s for orders: start "
            "it with a longer ENERGYMARKET_TICK_DEADLINE_SECONDS, or 0, or choose a smaller --pace."
        )
    in_flight = facts.number("max_orders_in_flight")
    if in_flight and plan.messages_per_tick() > in_flight:
        raise SettingsError(
            f"{plan.messages_per_tick()} messages of orders a tick are more than the "
            f"{in_flight:.0f} that the market takes before it settles: a larger "
            "--homes-per-message, or a larger ENERGYMARKET_MAX_ORDERS_IN_FLIGHT."
        )
    _check_broker(plan.amqp_url)
    return facts


def _check_broker(url: str) -> None:
    """That somebody listens there: a worker would go on trying, as every service does."""
    parts = urlsplit(url)
    try:
        address = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        socket.create_connection(address, CONNECT_S).close()
    except OSError as error:
        raise LoadFailed(
            f"the broker at {without_password(url)} does not answer ({error}): start it, or name "
            "it by --amqp."
        ) from error


class Conductor:
    """Runs plans against one system."""

    def __init__(self, api: MarketApi, stop: StopRequest, watcher: Watcher) -> None:
        self._api, self._stop, self._watcher = api, stop, watcher

    def measure(self, plan: LoadPlan) -> Result:
        """Joins, loads, leaves, and says what came of it.

        Raises ``LoadFailed``, ``SettingsError``, or ``Interrupted`` before anything was measured.
        """
        facts = check_system(plan, self._api)
        began_at = datetime.now(UTC).isoformat(timespec="seconds")
        watch = PhaseWatch(self._api)
        crew = Crew(plan)
        account = Account(len(crew))
        try:
            self._join(plan, crew, account, facts)
            begin_at = self._begin(plan, crew, account)
            watch.start()
            ended = self._run(plan, crew, account, watch, begin_at)
        finally:
            watch.stop()
            last = crew.dismiss()
        for number, sample in last:
            account.take(number, sample)
        if not account.latencies.counts:
            raise Interrupted
        market: dict[str, object] = {
            "run": facts.run,
            "api": without_password(self._api.url),
            "settings": facts.settings,
            "versions": facts.versions,
        }
        result = account.result(plan, ended=ended, market=market, began_at=began_at)
        return replace(result, homes_left=self._homes_left(facts.homes))

    def _join(self, plan: LoadPlan, crew: Crew, account: Account, facts: RunFacts) -> None:
        deadline = time.monotonic() + _JOIN_S + _JOIN_S_PER_HOME * plan.homes
        shown = -1
        while account.joined_fleets < plan.fleets:
            if self._stop.requested:
                raise Interrupted
            if time.monotonic() > deadline:
                raise LoadFailed(
                    f"only {account.joined_fleets} of {plan.fleets} fleets could join: "
                    f"{crew.last_words()}"
                )
            for number, sample in crew.news(_LOOK_S):
                account.take(number, sample)
            if account.joined_fleets != shown:
                shown = account.joined_fleets
                self._watcher.joining(shown, plan.fleets)
        if account.runs != {facts.run}:
            raise SettingsError(
                f"the API is that of run {facts.run}, and the fleets were welcomed by run "
                f"{', '.join(account.runs)}: --amqp and --api must name the same system."
            )

    def _begin(self, plan: LoadPlan, crew: Crew, account: Account) -> float:
        """All fleets hold their orders back until here; the first ticks do not count.

        Returns the moment at which, in open mode, the first tick that counts is due.
        """
        first = max((s.first_tick for s in account.newest if s), default=1)
        base = max(first, self._api.run().tick + 1) + _WARM_UP_TICKS
        last = base + plan.ticks - 1 if plan.ticks else ENDLESS_TICK
        begin_at = time.monotonic() + max(plan.pace_s, _LEAD_S)
        account.begin(base, last)
        crew.go(wire.Go(base_tick=base, last_tick=last, begin_at=begin_at, pace_s=plan.pace_s))
        return begin_at

    def _run(
        self, plan: LoadPlan, crew: Crew, account: Account, watch: PhaseWatch, begin_at: float
    ) -> str:
        """Until the ticks or the seconds are over; returns in words why it ended."""
        now = moved_at = time.monotonic()
        begun = begin_at if plan.pace_s else 0.0
        second_at = now + _SECOND_S
        ticks, noted = 0, False
        while True:
            for number, sample in crew.news(min(_LOOK_S, max(second_at - now, 0))):
                account.take(number, sample)
            now = time.monotonic()
            if not noted and account.settled_tick >= account.base_tick - 1:
                noted = True
                account.note_phases(self._phases())
            if account.ticks != ticks:
                ticks, moved_at = account.ticks, now
            begun = begun or account.began
            over = self._over(plan, account, now - begun if begun else 0.0)
            if over:
                account.note_phases(self._phases())
            if now >= second_at or over:
                second = account.close_second(now, watch.newest)
                second_at = now + _SECOND_S
                if second:
                    self._watcher.second(second, account)
                over = over or self._market_ended(account)
            if over:
                return over
            if now - moved_at > _STUCK_S and not (plan.pace_s and plan.seconds):
                waiting = self._api.waiting_for() or "something that it does not name"
                raise LoadFailed(
                    f"no tick was settled for {_STUCK_S:.0f} s: the market waits for {waiting}."
                )

    def _phases(self) -> PhaseTotals | None:
        try:
            return self._api.phases()
        except LoadFailed:
            return None  # the figures then say nothing of the market's phases

    def _over(self, plan: LoadPlan, account: Account, elapsed_s: float) -> str:
        if self._stop.requested:
            return INTERRUPTED
        if account.done:
            return f"after {plan.ticks} ticks"
        if plan.seconds and elapsed_s >= plan.seconds:
            return f"after {plan.seconds:g} s"
        return ""

    def _market_ended(self, account: Account) -> str:
        """Whether the market has settled its last tick meanwhile; asked when nothing moves."""
        recent = account.seconds[-2:]
        if not recent or any(each.ticks_per_s for each in recent):
            return ""
        try:
            return "the run has ended" if self._api.run().finished else ""
        except LoadFailed:
            return ""

    def _homes_left(self, before: int) -> int:
        """Homes that are there and were not before; asked until they are gone, for a while."""
        deadline = time.monotonic() + _GONE_S
        left = 0
        while time.monotonic() < deadline:
            try:
                left = max(self._api.run().homes - before, 0)
            except LoadFailed:
                return left
            if not left:
                return 0
            time.sleep(_LOOK_S)
        return left
