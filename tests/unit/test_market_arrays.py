"""A tick of many homes on whole columns: number by number what the one-by-one code gives."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket.codec import encode
from energymarket.column_arrays import view
from energymarket.columns import Rows, long_column
from energymarket.messages import MAX_ENERGY_WH, MAX_PRICE_NEUR_PER_WH, Offers, Orders, Requests
from energymarket.policies import Policy
from services.market.answers import ReceiptWriter
from services.market.books import KnownPolicies
from services.market.domain import (
    audit,
    audit_arrays,
    columns,
    packing_arrays,
    record,
    replay,
    replay_arrays,
    settlement_arrays,
)
from services.market.domain.accounts import Accounts, first_difference
from services.market.domain.gifts import Gifts
from services.market.domain.matching import share
from services.market.domain.membership import Fleet
from services.market.domain.order_book import MAX_BALANCE_NEUR, OrderBook
from services.market.domain.record import Opening, SettledTick
from services.market.domain.settlement import (
    UNLIMITED,
    CreditRule,
    OrderColumns,
    Outcome,
    Roster,
    settle,
    settle_one_by_one,
)
from tests.unit import strategies
from tests.unit.strategies import Home, homes

MANY_TICKS = settings(max_examples=600, deadline=None)
CREDIT = st.sampled_from([UNLIMITED, CreditRule(0), CreditRule(10**11), CreditRule(2**70)])
PRICES = st.integers(-MAX_PRICE_NEUR_PER_WH, MAX_PRICE_NEUR_PER_WH) | st.integers(0, 300_000)


@st.composite
def extreme_homes(draw: st.DrawFn) -> list[Home]:
    """Homes at the limits of the messages and of the accounts: products leave 64 bits."""
    ids = draw(st.lists(st.integers(1, 2**31 - 1), unique=True, max_size=8).map(sorted))
    energy = st.sampled_from([0, 1, MAX_ENERGY_WH - 1, MAX_ENERGY_WH]) | st.integers(
        0, MAX_ENERGY_WH
    )
    balance = st.sampled_from([0, MAX_BALANCE_NEUR, -MAX_BALANCE_NEUR])
    return [
        (
            home,
            draw(st.sampled_from([0, *Policy])),
            draw(energy),
            draw(energy),
            draw(energy),
            draw(energy),
            draw(st.sampled_from([0, 99, 100])),
            draw(balance),
        )
        for home in ids
    ]


ROWS = homes() | extreme_homes()


def long(part: Any) -> Any:
    """A roster, orders or an outcome with its columns long."""
    return type(part)(*(long_column(getattr(part, each.name)) for each in fields(part)))


def lists(part: Any) -> list[list[int]]:
    return [list(getattr(part, each.name)) for each in fields(part)]


def settled(rows: list[Home], price: int = 200_000) -> tuple[Roster, SettledTick]:
    roster, orders = strategies.columns(rows)
    outcome = settle_one_by_one(roster, orders, price_neur_per_wh=price, seed=7, tick=3)
    opening = Opening(3, price, 20_000, 0, ())
    return roster, record.settled_tick(opening, roster, orders, outcome, (price, []))


def as_long(roster: Roster, tick: SettledTick) -> tuple[Roster, SettledTick]:
    parts = {"orders": long(tick.orders), "outcome": long(tick.outcome)}
    return long(roster), replace(tick, home=long_column(tick.home), **parts)


# ---------------------------------------------------------------------------------- settlement


@MANY_TICKS
@given(rows=ROWS, price=PRICES, credit=CREDIT, seed=st.integers(0, 2**63 - 1))
def test_a_tick_on_whole_columns_has_the_outcome_of_the_tick_home_by_home(
    rows: list[Home], price: int, credit: CreditRule, seed: int
) -> None:
    """All policies, absences, the credit rule, ties, offers of nothing, the limits of messages."""
    roster, orders = strategies.columns(rows)
    tick: dict[str, Any] = {"price_neur_per_wh": price, "seed": seed, "tick": 3, "credit": credit}
    one_by_one = settle_one_by_one(roster, orders, **tick)
    assert lists(settle(long(roster), long(orders), **tick)) == lists(one_by_one)
    assert settle(roster, orders, **tick) == one_by_one


@MANY_TICKS
@given(
    claims=st.lists(st.integers(0, 6) | st.integers(0, MAX_ENERGY_WH), min_size=1, max_size=30),
    part=st.integers(0, 100),
    tick=st.integers(0, 2**53),
)
def test_shares_on_whole_columns_are_those_of_each(claims: list[int], part: int, tick: int) -> None:
    """Many equal remainders: the draws decide about the same homes."""
    ids = list(range(3, 3 + len(claims)))
    total_wh = sum(claims) * part // 100
    if not total_wh:
        return
    found = settlement_arrays.share(total_wh, view(ids), view(claims), seed=1, tick=tick)
    wanted = share(total_wh, ids, claims, seed=1, tick=tick)
    if found is None:
        assert total_wh * max(claims) >= 2**63
    else:
        assert found.tolist() == wanted


def test_the_limits_of_messages_and_accounts_can_be_settled_on_whole_columns() -> None:
    """What messages let through needs the slow way only where thousands share what is scarce."""
    roster = Roster([1, 2], [MAX_ENERGY_WH, 0], [MAX_BALANCE_NEUR, -MAX_BALANCE_NEUR])
    orders = OrderColumns(
        [2, 5],
        [2 * MAX_ENERGY_WH, MAX_ENERGY_WH],
        [MAX_ENERGY_WH, 0],
        [0, MAX_ENERGY_WH],
        [MAX_ENERGY_WH, MAX_ENERGY_WH],
    )
    price = MAX_PRICE_NEUR_PER_WH
    found = settlement_arrays._settled(long(roster), long(orders), price, 1, 1, UNLIMITED)
    assert found is not None
    wanted = settle_one_by_one(roster, orders, price_neur_per_wh=price, seed=1, tick=1)
    assert lists(found) == lists(wanted)


def test_numbers_that_no_message_holds_are_settled_home_by_home() -> None:
    """A forged record may say anything; no number wraps around."""
    for stock, balance in ((2**62, 0), (0, 2**63 - 1)):
        roster = Roster([1], [stock], [balance])
        orders = OrderColumns([2], [2**40], [2**62], [0], [0])
        found = settle(long(roster), long(orders), price_neur_per_wh=10**10, seed=1, tick=1)
        wanted = settle(roster, orders, price_neur_per_wh=10**10, seed=1, tick=1)
        assert lists(found) == lists(wanted)


# ------------------------------------------------------------------------------------ the books


@MANY_TICKS
@given(rows=ROWS, price=PRICES, data=st.data())
def test_the_audit_of_whole_columns_finds_what_the_audit_home_by_home_finds(
    rows: list[Home], price: int, data: st.DataObject
) -> None:
    """With one number of the outcome changed, or none."""
    roster, tick = settled(rows, price)
    if data.draw(st.booleans()) and rows:
        name = data.draw(st.sampled_from(NAMES))
        column = [*getattr(tick.outcome, name)]
        row = data.draw(st.integers(0, len(rows) - 1))
        column[row] += data.draw(st.sampled_from([1, -1, -(2**40), 2**62 - 1]))
        if not -(2**63) <= column[row] < 2**63:
            return
        tick = replace(tick, outcome=replace(tick.outcome, **{name: column}))
    wanted = audit.residuals_one_by_one(roster, tick)
    assert audit.residuals(*as_long(roster, tick)) == wanted


NAMES = [each.name for each in fields(Outcome)]


def test_a_deviation_that_would_wrap_around_to_nothing_is_found() -> None:
    roster, tick = settled([(1, 5, 0, 0, 1, 0, 0, -(2**63))], price=1)
    tick = replace(tick, outcome=replace(tick.outcome, balance_neur=[2**63 - 1]))
    assert tick.outcome.bought_wh == [1]
    assert audit_arrays.residuals(*as_long(roster, tick)) is None
    assert audit.residuals(*as_long(roster, tick)).money_neur == 2**64


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 200)))
def test_a_long_column_is_packed_into_the_same_bytes(values: list[int]) -> None:
    packed = columns.pack(values)
    assert packing_arrays.pack(long_column(values)) == packed
    assert list(packing_arrays.unpack(packed)) == values


@MANY_TICKS
@given(rows=homes())
def test_a_record_of_long_columns_has_the_same_bytes_and_sums(rows: list[Home]) -> None:
    roster, tick = settled(rows)
    _, same = as_long(roster, tick)
    assert record.to_bytes(same) == record.to_bytes(tick)
    assert record.summary(same) == record.summary(tick)


@MANY_TICKS
@given(rows=homes(), data=st.data())
def test_impossible_orders_are_found_in_whole_columns_too(
    rows: list[Home], data: st.DataObject
) -> None:
    roster, orders = strategies.columns(rows)
    changed = lists(orders)
    if data.draw(st.booleans()) and rows:
        row = data.draw(st.integers(0, len(rows) - 1))
        changed[data.draw(st.integers(0, 3))][row] = data.draw(st.integers(-2, 9))
    orders = OrderColumns(*changed)
    wanted = replay._first_impossible(orders, roster.stock_wh)
    assert replay_arrays.all_possible(long(orders), long(roster).stock_wh) == (wanted is None)
    assert replay._first_impossible(long(orders), long(roster).stock_wh) == wanted


@given(rows=homes(), other=homes())
def test_policies_are_learnt_from_whole_columns_too(rows: list[Home], other: list[Home]) -> None:
    few, many = KnownPolicies(), KnownPolicies()
    for each in (rows, other):
        few.learn(settled(each)[1])
        many.learn(as_long(*settled(each))[1])
    assert few == many


@given(rows=homes(), other=homes())
def test_accounts_take_long_columns_and_lists_alike(rows: list[Home], other: list[Home]) -> None:
    few, many = Accounts(), Accounts()
    for each in (rows, other):
        _, tick = settled(each)
        for accounts, home, out in (
            (few, tick.home, tick.outcome),
            (many, long_column(tick.home), long(tick.outcome)),
        ):
            accounts.grow_to(home[-1] if home else 0)
            accounts.put(home, out.stock_wh, out.balance_neur)
            assert list(map(list, accounts.of(home))) == [
                list(out.stock_wh),
                list(out.balance_neur),
            ]
    assert first_difference(few, many) is None


def test_the_first_home_that_differs_is_named_and_an_account_of_nothing_may_be_left_out() -> None:
    one, other = Accounts(long_column([5, 0, 0])), Accounts(long_column([5]))
    for each in (one, other):
        each.balance_neur = long_column([0] * len(each.stock_wh))
    assert first_difference(one, other) is None
    one.balance_neur[1] = -1
    assert first_difference(one, other) == 2


# ---------------------------------------------------------------------------- gifts and receipts


@MANY_TICKS
@given(rows=ROWS, chosen=st.sets(st.integers(1, 60)))
def test_gifts_are_paired_and_found_in_whole_columns_too(
    rows: list[Home], chosen: set[int]
) -> None:
    _, tick = settled(rows)
    out, ours = tick.outcome, sorted(chosen.intersection(tick.home))
    few = Gifts.paired(tick.home, out.given_wh, out.received_wh)
    many = Gifts.paired(*map(long_column, (tick.home, out.given_wh, out.received_wh)))
    assert many.rows() == few.rows()
    wanted = [gift for gift in few.rows() if chosen.intersection(gift[:2])]
    for gifts in (few, many):
        for homes_ in (ours, long_column(ours)):
            assert gifts.touching(homes_).rows() == wanted


@MANY_TICKS
@given(rows=homes(most=20), members=st.sets(st.integers(1, 60), min_size=1))
def test_receipts_of_many_homes_say_what_those_of_few_do(
    rows: list[Home], members: set[int]
) -> None:
    """For any part of the roster, dense or with gaps, and for homes that were not in it."""
    roster, tick = settled(rows)
    fleet = Fleet("i", "f", tuple(sorted(members)), first_tick=1)
    few = ReceiptWriter("r", tick).receipts(fleet)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("energymarket.columns.MANY", 1)
        many = ReceiptWriter("r", as_long(roster, tick)[1]).receipts(fleet)
    for name in few.__struct_fields__:
        one, other = getattr(few, name), getattr(many, name)
        assert (
            (list(one), list(other)) == (list(other), list(one))
            if isinstance(one, list)
            else one == other
        ), name


@MANY_TICKS
@given(
    rows=homes(most=20), members=st.sets(st.integers(1, 60), min_size=1), most=st.integers(1, 25)
)
def test_receipts_in_pieces_say_of_their_homes_what_those_of_a_fleet_of_these_homes_would(
    rows: list[Home], members: set[int], most: int
) -> None:
    """Computed row by row or as arrays; no home is left out, and none comes twice."""
    roster, tick = settled(rows)
    fleet = Fleet("i", "f", tuple(sorted(members)), first_tick=1)
    present = [home for home in fleet.homes if home in tick.home]
    with pytest.MonkeyPatch.context() as patched:
        for each in (tick, as_long(roster, tick)[1]):
            pieces = list(ReceiptWriter("r", each).messages(fleet, most))
            assert [home for piece in pieces for home in piece.home] == present
            assert all(len(piece.home) <= most for piece in pieces)
            for piece in pieces:
                alone = replace(fleet, homes=tuple(piece.home))
                assert encode(piece) == encode(ReceiptWriter("r", tick).receipts(alone))
            patched.setattr("energymarket.columns.MANY", 1)


# -------------------------------------------------------------------------------- the order book


@st.composite
def messages(draw: st.DrawFn) -> tuple[Roster, list[Orders]]:
    """A roster, and messages for it of which much is right: copies, wrong rows, strangers."""
    rows = draw(homes(most=10))
    roster, orders = strategies.columns(rows)
    sent: list[Orders] = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from([Offers, Requests]))
        surplus = kind is Offers
        table = []
        for row, home in enumerate(roster.home):
            if orders.policy[row] and (orders.policy[row] <= Policy.SELL_IF_NONE) == surplus:
                table.append([home, *(column[row] for column in lists(orders)), row])
        table = [row for row in table if draw(st.integers(0, 9))]
        if draw(st.booleans()) and table:
            spoilt = draw(st.integers(0, len(table) - 1))
            table[spoilt][draw(st.integers(0, 5))] = draw(st.integers(1, 6))
        stocks = [roster.stock_wh[row[-1]] for row in table]
        if stocks and not draw(st.integers(0, 4)):
            stocks[0] += 1
        sent.append(
            kind(
                run="r",
                fleet="f",
                secret="s",
                tick=1,
                home=[row[0] for row in table],
                policy=[row[1] for row in table],
                amount_wh=[row[2] for row in table],
                produced_wh=[row[3] for row in table],
                consumed_wh=[row[4] for row in table],
                capacity_wh=[row[5] for row in table],
                stock_wh=stocks,
            )
        )
    return roster, sent


@MANY_TICKS
@given(made=messages(), full=st.booleans())
def test_a_message_is_judged_as_a_whole_as_it_is_row_by_row(
    made: tuple[Roster, list[Orders]], full: bool
) -> None:
    """The same rows are taken, the same are copies, the same are refused for the same reason."""
    roster, sent = made
    if full and roster.home:
        roster = replace(roster, balance_neur=[MAX_BALANCE_NEUR + 1, *roster.balance_neur[1:]])
    few, many = OrderBook(roster, roster.home), OrderBook(long(roster), list(roster.home))
    for message in sent:
        wanted = few.take(message)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("energymarket.columns.MANY", 0)
            found = many.take(message)
        assert found == wanted
        assert many.awaited == few.awaited
        assert many.complete == few.complete
    assert lists(many.columns()) == lists(few.columns())


def test_rows_know_whether_a_home_is_missing_between_them() -> None:
    assert Rows([3, 4, 5]).dense
    assert not Rows([3, 5]).dense
