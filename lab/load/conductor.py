"""One load test from its first question to its last receipt."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable, Iterable
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
from lab.load.errors import Interrupted, LoadFailed
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


class Workers(Protocol):
    """Who carries a plan out, as ``crew.Crew`` does; a test hires others."""

    def __len__(self) -> int: ...

    def go(self, go: wire.Go) -> None: ...

    def news(self, timeout_s: float) -> Iterable[tuple[int, wire.Sample]]: ...

    def last_words(self) -> str: ...

    def dismiss(self) -> list[tuple[int, wire.Sample]]: ...


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
    # The clock's and not the setting: somebody may have changed it since the start.
    if plan.pace_s and (tick_s := api.pace_s()) >= plan.pace_s:
        raise SettingsError(
            f"--pace is {plan.pace_s:g} s and the market's own is {tick_s:g} s a tick, so it could "
            "never catch up: start it with ENERGYMARKET_TICK_SECONDS=0, or choose a larger --pace."
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

    def __init__(
        self,
        api: MarketApi,
        stop: StopRequest,
        watcher: Watcher,
        hire: Callable[[LoadPlan], Workers] = Crew,
    ) -> None:
        self._api, self._stop, self._watcher, self._hire = api, stop, watcher, hire

    def measure(self, plan: LoadPlan) -> Result:
        """Joins, loads, leaves, and says what came of it.

        Raises ``LoadFailed``, ``SettingsError``, or ``Interrupted`` before anything was measured.
        """
        facts = check_system(plan, self._api)
        began_at = datetime.now(UTC).isoformat(timespec="seconds")
        crew = self._hire(plan)
        account = Account(len(crew))
        try:
            self._join(plan, crew, account, facts)
            ended = self._load(plan, crew, account)
        finally:
            last = crew.dismiss()
        for number, sample in last:
            account.take(number, sample)
        if not account.latencies.counts:
            if ended == INTERRUPTED:
                raise Interrupted
            raise LoadFailed(
                f"the run ended {ended}, and not one order was settled in it: the market's log "
                "may say why; if it is only slow, more --seconds."
            )
        market: dict[str, object] = {
            "run": facts.run,
            "api": without_password(self._api.url),
            "settings": facts.settings,
            "versions": facts.versions,
        }
        result = account.result(plan, ended=ended, market=market, began_at=began_at)
        return replace(result, homes_left=self._homes_left(facts.homes))

    def _join(self, plan: LoadPlan, crew: Workers, account: Account, facts: RunFacts) -> None:
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
            if account.refusal:
                raise LoadFailed(
                    f"{without_password(plan.amqp_url)}: {account.refusal}. Name another by --amqp."
                )
            if account.joined_fleets != shown:
                shown = account.joined_fleets
                self._watcher.joining(shown, plan.fleets)
        if account.runs != {facts.run}:
            raise SettingsError(
                f"the API is that of run {facts.run}, and the fleets were welcomed by run "
                f"{', '.join(account.runs)}: --amqp and --api must name the same system."
            )

    def _load(self, plan: LoadPlan, crew: Workers, account: Account) -> str:
        """From the first order to the last; returns in words why it ended."""
        self._begin(plan, crew, account)
        watch = PhaseWatch(self._api)
        watch.start()
        try:
            return self._run(plan, crew, account, watch)
        finally:
            watch.stop()

    def _begin(self, plan: LoadPlan, crew: Workers, account: Account) -> None:
        """All fleets hold their orders back until here; the first ticks do not count.

        In open mode the moments are not told yet: how long the first ticks take, nobody knows.
        """
        first = max((s.first_tick for s in account.newest if s), default=1)
        base = max(first, self._api.run().tick + 1) + _WARM_UP_TICKS
        last = base + plan.ticks - 1 if plan.ticks else ENDLESS_TICK
        account.begin(base, last)
        _tell(crew, plan, account, math.inf)

    def _run(self, plan: LoadPlan, crew: Workers, account: Account, watch: PhaseWatch) -> str:
        """Until the ticks or the seconds are over; returns in words why it ended."""
        now = moved_at = time.monotonic()
        begun = 0.0
        second_at = now + _SECOND_S
        settled, noted = 0, False
        while True:
            for number, sample in crew.news(min(_LOOK_S, max(second_at - now, 0))):
                account.take(number, sample)
            now = time.monotonic()
            if plan.pace_s and not begun and account.opened_tick >= account.base_tick:
                begun = now + min(plan.pace_s / 2, _LEAD_S)
                _tell(crew, plan, account, begun)
            if not noted and account.settled_tick >= account.base_tick - 1:
                noted = True
                account.note_phases(self._phases())
            if account.settled_tick != settled:
                settled, moved_at = account.settled_tick, now
            begun = begun or account.began
            over = self._over(plan, account, now - begun if begun else 0.0)
            if over:
                if not account.done:
                    account.cut_off(now)
                account.note_phases(self._phases())
            if now >= second_at or over:
                second = account.close_second(now, watch.newest)
                second_at = now + _SECOND_S
                if second:
                    self._watcher.second(second, account)
                over = over or self._market_ended(account)
            if over:
                return over
            stuck_s = _STUCK_S + plan.pace_s
            if now - moved_at > stuck_s and not (plan.pace_s and plan.seconds and begun):
                raise self._stuck(stuck_s)

    def _stuck(self, stuck_s: float) -> LoadFailed:
        waiting = self._api.waiting_for() or "something that it does not name"
        return LoadFailed(
            f"no tick was settled for {stuck_s:.0f} s: the market waits for {waiting}."
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


def _tell(crew: Workers, plan: LoadPlan, account: Account, begin_at: float) -> None:
    """Which ticks count, and when the first of them is due in open mode."""
    base, last = account.base_tick, account.last_tick
    crew.go(wire.Go(base_tick=base, last_tick=last, begin_at=begin_at, pace_s=plan.pace_s))
