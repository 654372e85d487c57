"""The order messages of a fleet: its homes as columns, offers and requests apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from energymarket import topology
from energymarket.bus.port import Publication
from energymarket.columns import in_pieces_of
from energymarket.messages import Offers, Requests, Welcome


@dataclass(frozen=True, slots=True)
class OrderRows:
    """The columns of an order message: one row per home, in ascending home id."""

    home: Sequence[int]
    policy: Sequence[int]
    amount_wh: Sequence[int]
    produced_wh: Sequence[int]
    consumed_wh: Sequence[int]
    stock_wh: Sequence[int]
    capacity_wh: Sequence[int]


def order_messages(
    welcome: Welcome,
    tick: int,
    offers: OrderRows,
    requests: OrderRows,
    homes_per_message: int = 0,
    trace: str = "",
) -> list[Publication]:
    """Offers and requests for the open tick; homes without surplus offer 0 Wh.

    One message each, or with ``homes_per_message`` as many as no more homes in one take. All carry
    the trace context ``trace``.
    """
    key = topology.order_key(welcome.fleet)
    publications = []
    for part in _parts(offers, homes_per_message):
        message: Offers | Requests = _message(Offers, welcome, tick, part)
        publications.append(Publication(topology.OFFERS, key, message, True, True, trace))
    for part in _parts(requests, homes_per_message):
        message = _message(Requests, welcome, tick, part)
        publications.append(Publication(topology.REQUESTS, key, message, True, True, trace))
    return publications


def _parts(rows: OrderRows, size: int) -> list[OrderRows]:
    """In pieces of at most ``size`` homes; 0: all in one. No piece is empty."""
    homes = len(rows.home)
    if not size or homes <= size:
        return [rows] if homes else []
    columns = [in_pieces_of(size, getattr(rows, name)) for name in OrderRows.__dataclass_fields__]
    return [
        OrderRows(*(column[begin : begin + size] for column in columns))
        for begin in range(0, homes, size)
    ]


def _message(
    kind: type[Offers] | type[Requests], welcome: Welcome, tick: int, rows: OrderRows
) -> Offers | Requests:
    return kind(
        run=welcome.run,
        fleet=welcome.fleet,
        secret=welcome.secret,
        tick=tick,
        home=rows.home,
        policy=rows.policy,
        amount_wh=rows.amount_wh,
        produced_wh=rows.produced_wh,
        consumed_wh=rows.consumed_wh,
        stock_wh=rows.stock_wh,
        capacity_wh=rows.capacity_wh,
    )
