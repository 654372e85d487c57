"""Tick records: one canonical form, chained, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymarket.messages import LiveEvent
from services.market.domain import columns, record
from services.market.domain.pricing import Normalised
from services.market.domain.rules import Rules
from services.market.domain.settlement import settle
from tests.unit.strategies import Home, homes
from tests.unit.strategies import columns as columns_of


def a_tick(rows: list[Home]) -> record.SettledTick:
    roster, orders = columns_of(rows)
    outcome = settle(roster, orders, price_neur_per_wh=200_000, seed=1, tick=9)
    events = (LiveEvent(name="war", coefficient_neur_per_wh=-3, remaining_ticks=2),)
    opening = record.Opening(9, 200_000, -4_250, record.DEGRADED_WEATHER, events)
    price = Normalised.start_neur_per_wh
    return record.settled_tick(opening, roster, orders, outcome, (price, [("start", price)]))


@given(rows=homes())
def test_a_record_comes_back_from_its_bytes_as_it_was(rows: list[Home]) -> None:
    tick = a_tick(rows)
    body = record.to_bytes(tick)
    assert record.from_bytes(body) == tick
    assert record.to_bytes(record.from_bytes(body)) == body


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_a_column_comes_back_and_takes_no_wider_numbers_than_it_needs(values: list[int]) -> None:
    packed = columns.pack(values)
    assert [*columns.unpack(packed)] == values
    need = max([v.bit_length() + 1 if v >= 0 else (-v - 1).bit_length() + 1 for v in values] + [1])
    assert packed[0] == next(width for width in (1, 2, 4, 8) if need <= 8 * width)


def test_a_number_beyond_64_bits_is_refused() -> None:
    with pytest.raises(OverflowError):
        columns.pack([2**63])


@pytest.mark.parametrize("body", [b"", b"\x03abc", b"\x02abc", b"\x09"])
def test_bytes_that_are_no_column_are_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed column"):
        columns.unpack(body)


def test_a_cut_record_is_refused_by_name_at_every_byte() -> None:
    body = record.to_bytes(a_tick([(1, 1, 5, 9, 3, 4, 50, 0), (2, 6, 0, 0, 7, 0, 0, 0)]))
    for end in range(len(body)):
        with pytest.raises(record.RecordCorrupt):
            record.from_bytes(body[:end])


def test_the_hash_of_a_tick_depends_on_its_bytes_and_on_all_that_went_before() -> None:
    genesis = record.genesis_hash(Rules(42))
    one = record.chained_hash(genesis, b"tick")
    assert len(one) == 32
    assert one != record.chained_hash(genesis, b"tock")
    assert one != record.chained_hash(record.genesis_hash(Rules(43)), b"tick")
    assert record.genesis_hash(Rules(42)) != record.genesis_hash(Rules(42, "classic"))
    assert genesis != record.genesis_hash(Rules(42, credit_limit_neur=0))


def test_an_opening_comes_back_from_its_bytes() -> None:
    opening = a_tick([]).opening
    assert record.opening_from_bytes(record.opening_to_bytes(opening)) == opening
    with pytest.raises(record.RecordCorrupt):
        record.opening_from_bytes(b"\x00")
