"""What the view reads from the market's API: of each answer the fields that it shows."""

from __future__ import annotations

import msgspec

Struct = msgspec.Struct


class Clock(Struct, frozen=True):
    """``GET /clock``; ``state`` is ``running``, ``paused`` or ``finished``."""

    state: str
    pace_s: float
    tick: int
    steps_left: int = 0
    ticks_per_s: float | None = None
    orders_per_s: float | None = None
    tick_ms_p50: float | None = None
    tick_ms_p99: float | None = None


class Tick(Struct, frozen=True):
    """A settled tick: a row of ``GET /prices``, or a ``tick`` of ``GET /stream``."""

    tick: int
    price_eur_per_kwh: float
    temperature_c: float
    homes: int
    absent: int
    given_kwh: float
    sold_kwh: float
    bought_kwh: float
    spilled_kwh: float
    unserved_kwh: float
    degraded: list[str]
    next_price_eur_per_kwh: float


class Prices(Struct, frozen=True):
    """``GET /prices``."""

    prices: list[Tick]


class Event(Struct, frozen=True):
    """An external event that is alive."""

    name: str
    coefficient_eur_per_kwh: float
    remaining_ticks: int


class EventNews(Struct, frozen=True):
    """An external event that begins, as ``GET /stream`` tells it."""

    name: str
    coefficient_eur_per_kwh: float
    start_tick: int
    ttl_ticks: int


class Events(Struct, frozen=True):
    """``GET /events``."""

    alive: list[Event]


class HomeTick(Struct, frozen=True):
    """What the newest tick did to a home."""

    produced_kwh: float
    consumed_kwh: float
    given_kwh: float
    received_kwh: float
    sold_kwh: float
    bought_kwh: float


class Home(Struct, frozen=True):
    """A row of ``GET /homes``."""

    id: int
    status: str
    surplus_policy: str | None
    need_policy: str | None
    stock_kwh: float
    capacity_kwh: float | None
    bill_eur: float
    last_tick: HomeTick | None


class Homes(Struct, frozen=True):
    """A page of ``GET /homes``."""

    total: int
    homes: list[Home]
    next_cursor: str | None = None


class Replayed(Struct, frozen=True):
    """How far the ledger has been read back."""

    to_tick: int
    complete: bool
    fault: str | None = None


class Audit(Struct, frozen=True):
    """``GET /audit``."""

    ok: bool
    tick: int
    energy_residual_wh: int
    gifts_residual_wh: int
    money_residual_neur: int
    bounds_violations: int
    outcomes_violations: int
    replay: Replayed | None = None

    @property
    def sentence(self) -> str:
        """In words: that all is well, or what is not."""
        if self.ok:
            read = f", ledger replayed to tick {self.replay.to_tick:,}" if self.replay else ""
            return f"audit: every residual is 0{read}"
        if self.replay and self.replay.fault:
            return f"AUDIT: {self.replay.fault}"
        return (
            f"AUDIT: energy {self.energy_residual_wh} Wh, gifts {self.gifts_residual_wh} Wh, money "
            f"{self.money_residual_neur} nEUR, bounds {self.bounds_violations}, outcomes "
            f"{self.outcomes_violations}"
        )


class Ready(Struct, frozen=True):
    """``GET /readyz``, also when it is not."""

    waiting_for: tuple[str, ...] = ()


class Run(Struct, frozen=True):
    """``GET /run``: nothing of it is shown, but only a market has it."""

    run: str
    head_hash: str


class Problem(Struct, frozen=True):
    """An error, as RFC 9457 has it."""

    detail: str = ""
