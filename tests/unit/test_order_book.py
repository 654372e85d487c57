"""The order book: each order once, only true ones, whatever their order."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymarket.messages import Offers, Orders, Requests
from services.market.domain.order_book import OrderBook
from services.market.domain.settlement import Roster
from tests.unit.strategies import Home, homes
from tests.unit.strategies import columns as columns_of


def book(*stocks: int) -> OrderBook:
    homes = list(range(1, len(stocks) + 1))
    return OrderBook(Roster(homes, list(stocks), [0] * len(stocks)), awaited=homes)


def order(kind: type[Orders] = Offers, **changes: Any) -> Orders:
    """One row: home 1 with stock 100 offers 50 of the 100 it has left."""
    row = {
        "home": 1,
        "policy": 2,
        "amount_wh": 50,
        "produced_wh": 30,
        "consumed_wh": 30,
        "stock_wh": 100,
        "capacity_wh": 200,
    }
    columns = {name: [value] for name, value in {**row, **changes}.items()}
    return kind(run="r", fleet="f", secret="s", tick=1, **columns)  # type: ignore[arg-type]


def test_a_tick_is_complete_when_every_awaited_home_is_in() -> None:
    one = book(100, 0)
    one.take(order())
    assert not one.complete
    one.take(
        order(Requests, home=2, policy=6, amount_wh=10, produced_wh=0, consumed_wh=10, stock_wh=0)
    )
    assert one.complete
    assert list(one.columns().policy) == [2, 6]


def test_a_second_copy_with_the_same_content_changes_nothing() -> None:
    one = book(100)
    one.take(order())
    again = one.take(order())
    assert (again.new, again.copies, again.refusals) == (0, 1, [])


@pytest.mark.parametrize(
    "change",
    [{"amount_wh": 49}, {"policy": 3}, {"produced_wh": 31}, {"capacity_wh": 1}, {"stock_wh": 99}],
)
def test_a_second_copy_with_another_content_is_refused(change: dict[str, Any]) -> None:
    one = book(100)
    one.take(order())
    refused = one.take(order(**change)).refusals
    assert [(r.reason, r.homes) for r in refused] == [("different_copy", (1,))]
    assert one.columns().amount_wh[0] == 50


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (order(amount_wh=101), "impossible_amount"),
        (order(consumed_wh=131, amount_wh=0), "impossible_amount"),
        (order(Requests, policy=6, consumed_wh=150, amount_wh=21), "impossible_amount"),
        (order(Requests, policy=6, consumed_wh=150, amount_wh=19), "impossible_amount"),
        (order(Requests, policy=6, amount_wh=0), "impossible_amount"),
        (order(Requests, policy=2, consumed_wh=150, amount_wh=20), "wrong_policy"),
        (order(policy=4), "wrong_policy"),
        (order(stock_wh=101), "stock_mismatch"),
        (order(home=9), "not_in_roster"),
    ],
)
def test_an_order_that_cannot_be_true_is_refused_with_its_reason(bad: Orders, reason: str) -> None:
    one = book(100)
    taken = one.take(bad)
    assert [refusal.reason for refusal in taken.refusals] == [reason]
    assert taken.new == 0
    assert not one.complete


def test_a_wrong_row_does_not_cost_its_fleet_the_others() -> None:
    one = book(100, 100)
    rows = [order(), order(home=2, amount_wh=999)]
    both = Offers(
        run="r",
        fleet="f",
        secret="s",
        tick=1,
        **{  # type: ignore[arg-type]  # the columns, by name
            name: [getattr(row, name)[0] for row in rows]
            for name in (
                "home",
                "policy",
                "amount_wh",
                "produced_wh",
                "consumed_wh",
                "stock_wh",
                "capacity_wh",
            )
        },
    )
    taken = one.take(both)
    assert taken.new == 1
    assert [(r.reason, r.homes) for r in taken.refusals] == [("impossible_amount", (2,))]


def test_a_home_that_is_given_up_on_may_still_trade_before_the_tick_is_settled() -> None:
    one = book(100)
    one.give_up_on([1])
    assert one.complete
    assert one.take(order()).new == 1


@given(rows=homes(), luck=st.randoms(use_true_random=False))
def test_the_order_in_which_orders_come_and_copies_of_them_make_no_difference(
    rows: list[Home], luck: Random
) -> None:
    """R14, I4: shuffled, and some of them twice, they make the same columns."""
    roster, columns = columns_of(rows)
    orders = [
        order(
            Offers if policy <= 3 else Requests,
            home=home,
            policy=policy,
            amount_wh=columns.amount_wh[row],
            produced_wh=columns.produced_wh[row],
            consumed_wh=columns.consumed_wh[row],
            stock_wh=roster.stock_wh[row],
            capacity_wh=columns.capacity_wh[row],
        )
        for row, (home, policy) in enumerate(zip(roster.home, columns.policy, strict=True))
        if policy
    ]
    mixed = orders + [one for one in orders if luck.random() < 0.3]
    luck.shuffle(mixed)
    one = OrderBook(roster, roster.home)
    taken = [one.take(each) for each in mixed]
    assert [refusal for each in taken for refusal in each.refusals] == []
    assert one.columns() == columns
