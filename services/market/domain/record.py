"""The record of one tick: everything that a replay needs, in canonical bytes, chained by a hash.

Nothing that differs between two runs of the same world stands in it: no epoch, no time of day, no
name of a process. So the hash of a distributed run equals that of an embedded one (I7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from hashlib import sha256
from typing import Final

import msgspec

from energymarket.columns import count_of_zeros, total
from energymarket.errors import EnergyMarketError
from energymarket.messages import LiveEvent
from services.market.domain import columns
from services.market.domain.pricing import Term
from services.market.domain.rules import Rules
from services.market.domain.settlement import OrderColumns, Outcome, Roster

FORMAT = 1
DEGRADED_WEATHER = 1
DEGRADED_EXTERNAL = 2
DEGRADED: Final = {"weather": DEGRADED_WEATHER, "external": DEGRADED_EXTERNAL}
"""The bits of ``degraded`` by the input that was not there in time."""


class RecordCorrupt(EnergyMarketError):
    """Bytes that are not a tick record, or not the one that the hash chain names."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is fixed when a tick opens. ``degraded`` is a sum of the ``DEGRADED_`` bits: inputs
    that were not there in time, for which the last temperature or no new event stands."""

    tick: int
    price_neur_per_wh: int
    temperature_mdeg: int
    degraded: int
    events: tuple[LiveEvent, ...]


class TickRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A settled tick as it is stored. Columns are packed (``columns``), one row per roster home."""

    format: int
    tick: int
    price_neur_per_wh: int
    temperature_mdeg: int
    degraded: int
    events: tuple[tuple[str, int, int], ...]
    terms: tuple[tuple[str, int], ...]
    next_price_neur_per_wh: int
    home: bytes
    policy: bytes
    amount_wh: bytes
    produced_wh: bytes
    consumed_wh: bytes
    capacity_wh: bytes
    given_wh: bytes
    received_wh: bytes
    sold_wh: bytes
    bought_wh: bytes
    spilled_wh: bytes
    unserved_wh: bytes
    stock_wh: bytes
    balance_neur: bytes


class _Beginning(msgspec.Struct, frozen=True, array_like=True):
    """What stands before the columns of a ``TickRecord``."""

    format: int
    tick: int
    price_neur_per_wh: int
    temperature_mdeg: int
    degraded: int
    events: tuple[tuple[str, int, int], ...]
    terms: tuple[tuple[str, int], ...]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TickRecord)
_beginning_decoder = msgspec.msgpack.Decoder(_Beginning)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all homes of a tick."""

    absent: int
    """Homes of the roster that sent no order in time."""
    given_wh: int
    sold_wh: int
    bought_wh: int
    spilled_wh: int
    unserved_wh: int


@dataclass(frozen=True)
class SettledTick:
    """A settled tick with its columns open; ``home``, orders and outcome are row by row."""

    opening: Opening
    home: Sequence[int]
    orders: OrderColumns
    outcome: Outcome
    terms: list[Term]
    next_price_neur_per_wh: int

    @property
    def tick(self) -> int:
        return self.opening.tick

    @cached_property
    def totals(self) -> Totals:
        """Summed once, for many ask."""
        out = self.outcome
        return Totals(
            absent=count_of_zeros(self.orders.policy),
            given_wh=total(out.given_wh),
            sold_wh=total(out.sold_wh),
            bought_wh=total(out.bought_wh),
            spilled_wh=total(out.spilled_wh),
            unserved_wh=total(out.unserved_wh),
        )

    @property
    def absent(self) -> int:
        """Homes of the roster that sent no order in time."""
        return self.totals.absent


def to_bytes(settled: SettledTick) -> bytes:
    """The canonical bytes of a settled tick."""
    opening, orders, outcome, pack = settled.opening, settled.orders, settled.outcome, columns.pack
    return _encoder.encode(
        TickRecord(
            format=FORMAT,
            tick=opening.tick,
            price_neur_per_wh=opening.price_neur_per_wh,
            temperature_mdeg=opening.temperature_mdeg,
            degraded=opening.degraded,
            events=_stored(opening.events),
            terms=tuple(settled.terms),
            next_price_neur_per_wh=settled.next_price_neur_per_wh,
            home=pack(settled.home),
            policy=pack(orders.policy),
            amount_wh=pack(orders.amount_wh),
            produced_wh=pack(orders.produced_wh),
            consumed_wh=pack(orders.consumed_wh),
            capacity_wh=pack(orders.capacity_wh),
            given_wh=pack(outcome.given_wh),
            received_wh=pack(outcome.received_wh),
            sold_wh=pack(outcome.sold_wh),
            bought_wh=pack(outcome.bought_wh),
            spilled_wh=pack(outcome.spilled_wh),
            unserved_wh=pack(outcome.unserved_wh),
            stock_wh=pack(outcome.stock_wh),
            balance_neur=pack(outcome.balance_neur),
        )
    )


def from_bytes(body: bytes) -> SettledTick:
    """The settled tick in canonical bytes; raises ``RecordCorrupt``."""
    try:
        record = _decoder.decode(body)
        if record.format != FORMAT:
            raise ValueError(f"format {record.format} is not {FORMAT}")
        return _even(_opened(record))
    except (msgspec.DecodeError, ValueError) as error:
        raise RecordCorrupt(f"not a tick record: {error}") from error


def terms_in(body: bytes) -> tuple[Term, ...]:
    """The terms of the next price in canonical bytes, whose columns stay closed; raises
    ``RecordCorrupt``."""
    try:
        return _beginning_decoder.decode(body).terms
    except msgspec.DecodeError as error:
        raise RecordCorrupt(f"not a tick record: {error}") from error


def _opened(record: TickRecord) -> SettledTick:
    unpack = columns.unpack
    return SettledTick(
        opening=Opening(
            tick=record.tick,
            price_neur_per_wh=record.price_neur_per_wh,
            temperature_mdeg=record.temperature_mdeg,
            degraded=record.degraded,
            events=_live(record.events),
        ),
        home=unpack(record.home),
        orders=OrderColumns(
            policy=unpack(record.policy),
            amount_wh=unpack(record.amount_wh),
            produced_wh=unpack(record.produced_wh),
            consumed_wh=unpack(record.consumed_wh),
            capacity_wh=unpack(record.capacity_wh),
        ),
        outcome=Outcome(
            given_wh=unpack(record.given_wh),
            received_wh=unpack(record.received_wh),
            sold_wh=unpack(record.sold_wh),
            bought_wh=unpack(record.bought_wh),
            spilled_wh=unpack(record.spilled_wh),
            unserved_wh=unpack(record.unserved_wh),
            stock_wh=unpack(record.stock_wh),
            balance_neur=unpack(record.balance_neur),
        ),
        terms=list(record.terms),
        next_price_neur_per_wh=record.next_price_neur_per_wh,
    )


def _even(settled: SettledTick) -> SettledTick:
    """The same; raises ``ValueError`` where a column has not one row per home."""
    rows = len(settled.home)
    for part in (settled.orders, settled.outcome):
        for each in fields(part):
            if len(getattr(part, each.name)) != rows:
                raise ValueError(f"{each.name} has not one row per home")
    return settled


def summary(settled: SettledTick) -> dict[str, int]:
    """What the ledger repeats of a record beside it, so that a history need not open records."""
    opening, sums = settled.opening, settled.totals
    return {
        "tick": opening.tick,
        "price_neur_per_wh": opening.price_neur_per_wh,
        "next_price_neur_per_wh": settled.next_price_neur_per_wh,
        "temperature_mdeg": opening.temperature_mdeg,
        "degraded": opening.degraded,
        "homes": len(settled.home),
        "absent": sums.absent,
        "given_wh": sums.given_wh,
        "sold_wh": sums.sold_wh,
        "bought_wh": sums.bought_wh,
        "spilled_wh": sums.spilled_wh,
        "unserved_wh": sums.unserved_wh,
    }


def genesis_hash(rules: Rules) -> bytes:
    """The hash before the first tick: what a world is made by."""
    text = f"{FORMAT} {rules.seed} {rules.price_model} {rules.credit_limit_neur}"
    return sha256(f"energymarket ledger {text}".encode()).digest()


def chained_hash(previous_hash: bytes, record: bytes) -> bytes:
    """H(previous hash, canonical bytes of the tick): 32 bytes of SHA-256."""
    chained = sha256(previous_hash)
    chained.update(record)
    return chained.digest()


def settled_tick(
    opening: Opening,
    roster: Roster,
    orders: OrderColumns,
    outcome: Outcome,
    price: tuple[int, list[Term]],
) -> SettledTick:
    """Puts the parts of a settled tick together."""
    next_price_neur_per_wh, terms = price
    return SettledTick(
        opening=opening,
        home=roster.home,
        orders=orders,
        outcome=outcome,
        terms=terms,
        next_price_neur_per_wh=next_price_neur_per_wh,
    )


_StoredOpening = tuple[int, int, int, int, tuple[tuple[str, int, int], ...]]
_opening_decoder = msgspec.msgpack.Decoder(_StoredOpening)


def opening_to_bytes(opening: Opening) -> bytes:
    """An opening as it is stored before its tick is announced."""
    return _encoder.encode(
        (
            opening.tick,
            opening.price_neur_per_wh,
            opening.temperature_mdeg,
            opening.degraded,
            _stored(opening.events),
        )
    )


def opening_from_bytes(body: bytes) -> Opening:
    """A stored opening; raises ``RecordCorrupt``."""
    try:
        tick, price, temperature, degraded, events = _opening_decoder.decode(body)
    except msgspec.DecodeError as error:
        raise RecordCorrupt(f"not an opening: {error}") from error
    return Opening(tick, price, temperature, degraded, _live(events))


def _stored(events: tuple[LiveEvent, ...]) -> tuple[tuple[str, int, int], ...]:
    return tuple((e.name, e.coefficient_neur_per_wh, e.remaining_ticks) for e in events)


def _live(events: tuple[tuple[str, int, int], ...]) -> tuple[LiveEvent, ...]:
    return tuple(
        LiveEvent(name=name, coefficient_neur_per_wh=value, remaining_ticks=left)
        for name, value, left in events
    )
