"""The market's memory of its world: what the ledger holds, at hand, and how it moves a tick on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from energymarket.columns import count_of_zeros, is_long, long_column, many, total
from energymarket.errors import EnergyMarketError
from energymarket.messages import EventStart, LiveEvent
from energymarket.policies import Policy
from services.market.domain import audit, events, record
from services.market.domain.audit import Residuals
from services.market.domain.membership import Fleet, Membership
from services.market.domain.pricing import PRICE_MODELS, MarketOutcome, next_price
from services.market.domain.record import Opening, SettledTick
from services.market.domain.settlement import OrderColumns, Roster, settle
from services.market.ledger import Ledger

TEMPERATURE_WITHOUT_WEATHER_MDEG = 15_000
"""Stands in when weather has never been heard of and a deadline forces the first tick open."""

_TICKS_LEARNT_FROM = 20
"""Settled ticks that a market looks through at its start for the policies that homes showed."""

_FIRST_NEED_POLICY = int(Policy.ASK_ONLY)


@dataclass(slots=True)
class KnownPolicies:
    """The policies that each home has shown, by home id; 0 where it has not shown one yet."""

    surplus: bytearray = field(default_factory=bytearray)
    need: bytearray = field(default_factory=bytearray)

    def learn(self, settled: SettledTick) -> None:
        """Takes in the policies of a tick's orders."""
        missing = (settled.home[-1] if settled.home else 0) - len(self.surplus)
        if missing > 0:
            self.surplus.extend(bytes(missing))
            self.need.extend(bytes(missing))
        if is_long(settled.home):
            from services.market import books_arrays  # noqa: PLC0415 - see energymarket.columns

            books_arrays.learn(self.surplus, self.need, settled)
            return
        for home, policy in zip(settled.home, settled.orders.policy, strict=True):
            if policy >= _FIRST_NEED_POLICY:
                self.need[home - 1] = policy
            elif policy:
                self.surplus[home - 1] = policy

    def of(self, home: int) -> tuple[int, int]:
        """(surplus policy, need policy) of a home, each 0 when not shown yet."""
        if home > len(self.surplus):
            return 0, 0
        return self.surplus[home - 1], self.need[home - 1]


def _homes_in_order(fleets: Sequence[Fleet]) -> Sequence[int]:
    homes = sorted(home for fleet in fleets for home in fleet.homes)
    return long_column(homes) if many(len(homes)) else homes


class Books:
    """Everything that is decided, as of the newest tick in the ledger."""

    def __init__(self, ledger: Ledger, *, max_fleets: int) -> None:
        self.ledger = ledger
        self.world = ledger.world
        self.model = PRICE_MODELS[ledger.world.price_model]()
        self.last, self.head_hash = ledger.head()
        self.accounts = ledger.accounts()
        self.membership = Membership(ledger.fleets(), max_fleets=max_fleets)
        self.residuals = Residuals()
        self.policies = KnownPolicies()
        newest = ledger.history.settled_between(self.tick - _TICKS_LEARNT_FROM, self.tick + 1, 99)
        for settled in reversed(newest):
            self.policies.learn(settled)
        self._homes_of: tuple[Sequence[Fleet], Sequence[int]] = ([], [])
        """The fleets of the newest roster and their homes: as a rule the next has the same."""
        self._pending: dict[int, list[EventStart]] = {}
        for event in reversed(ledger.history.events(from_tick=self.tick + 1)):
            self._pending.setdefault(event.start_tick, []).append(event.start)

    # ------------------------------------------------------------------------------- questions

    @property
    def tick(self) -> int:
        """The newest tick that is settled; 0 before the first."""
        return self.last.tick if self.last else 0

    @property
    def next_price_neur_per_wh(self) -> int:
        """The price at which the next tick opens."""
        return self.last.next_price_neur_per_wh if self.last else self.model.start_neur_per_wh

    @property
    def last_temperature_mdeg(self) -> int:
        """The temperature of the newest tick."""
        if self.last:
            return self.last.opening.temperature_mdeg
        return TEMPERATURE_WITHOUT_WEATHER_MDEG

    def roster(self, fleets: Sequence[Fleet]) -> Roster:
        """The homes of these fleets with their accounts, in ascending id."""
        if self._homes_of[0] != fleets:
            self._homes_of = fleets, _homes_in_order(fleets)
        homes = self._homes_of[1]
        if homes:
            self.accounts.grow_to(homes[-1])
        return Roster(homes, *self.accounts.of(homes))

    def stock_wh(self, home: int) -> int:
        """A home's stock after the newest tick."""
        return self.accounts.stock_wh[home - 1] if home <= len(self.accounts.stock_wh) else 0

    def settled(self, tick: int) -> SettledTick | None:
        """A tick of the past; None when the ledger does not hold it."""
        if self.last and self.last.tick == tick:
            return self.last
        return self.ledger.history.settled(tick)

    # ------------------------------------------------------------------------------- a tick on

    def opening(
        self, temperature_mdeg: int, starts: Sequence[EventStart], degraded: int
    ) -> Opening:
        """How the next tick opens; ``starts`` are the events that external begins in it."""
        alive: list[LiveEvent] = []
        if self.last:
            alive.extend(events.one_tick_on(self.last.opening.events))
        alive.extend(events.begun(start) for start in starts)
        alive.extend(events.begun(start) for start in self._pending.get(self.tick + 1, ()))
        return Opening(
            tick=self.tick + 1,
            price_neur_per_wh=self.next_price_neur_per_wh,
            temperature_mdeg=temperature_mdeg,
            degraded=degraded,
            events=tuple(alive),
        )

    def add_event(self, start: EventStart, start_tick: int) -> int:
        """Stores an event that a person starts, to begin in a tick not yet open; gives its id."""
        event_id = self.ledger.add_event(start, start_tick, "api")
        self._pending.setdefault(start_tick, []).append(start)
        return event_id

    def settle(self, opening: Opening, roster: Roster, orders: OrderColumns) -> SettledTick:
        """The open tick, settled and priced. Nothing is changed yet: ``commit`` does that."""
        outcome = settle(
            roster,
            orders,
            price_neur_per_wh=opening.price_neur_per_wh,
            seed=self.world.seed,
            tick=opening.tick,
            credit=self.world.rules.credit,
        )
        price = next_price(
            self.model,
            MarketOutcome(
                price_neur_per_wh=opening.price_neur_per_wh,
                temperature_mdeg=opening.temperature_mdeg,
                homes=len(roster.home) - count_of_zeros(orders.policy),
                bought_wh=total(outcome.bought_wh),
                sold_wh=total(outcome.sold_wh),
                events=opening.events,
            ),
        )
        return record.settled_tick(opening, roster, orders, outcome, price)

    def _starts(self, opening: Opening) -> list[EventStart]:
        """The events that external began in a tick: those neither carried over nor a person's."""
        carried = events.one_tick_on(self.last.opening.events) if self.last else []
        people = self._pending.get(opening.tick, ())
        begun = opening.events[len(carried) : len(opening.events) - len(people)]
        return [
            EventStart(
                name=event.name,
                coefficient_neur_per_wh=event.coefficient_neur_per_wh,
                ttl_ticks=event.remaining_ticks,
            )
            for event in begun
        ]

    def commit(self, settled: SettledTick, roster: Roster, at: float) -> None:
        """Writes the tick to the ledger, and moves this memory a tick on when it is there.

        May be called again after ``LedgerUnavailable``.
        """
        body = record.to_bytes(settled)
        tick_hash = record.chained_hash(self.head_hash, body)
        starts = self._starts(settled.opening)
        out = settled.outcome
        self.accounts.put(settled.home, out.stock_wh, out.balance_neur)
        try:
            self.ledger.commit(settled, body, tick_hash, after=self.accounts, starts=starts, at=at)
        except EnergyMarketError:
            # Nobody may be told of a stock that is not in the ledger.
            self.accounts.put(roster.home, roster.stock_wh, roster.balance_neur)
            raise
        self.last, self.head_hash = settled, tick_hash
        self.residuals = self.residuals.plus(audit.residuals(roster, settled))
        self.policies.learn(settled)
        self._pending.pop(settled.tick, None)
