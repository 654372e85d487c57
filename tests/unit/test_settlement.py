"""Settlement: conservation, fairness, policies, and independence of arrival order."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket.policies import Policy
from services.market.domain import audit
from services.market.domain.pricing import MarketOutcome, Normalised, next_price
from services.market.domain.record import Opening, settled_tick
from services.market.domain.settlement import (
    UNLIMITED,
    CreditRule,
    OrderColumns,
    Outcome,
    Roster,
    settle,
)
from tests.unit.strategies import Home, columns, homes

PRICE = 200_000
GENERATED_TICKS = settings(max_examples=2_000, deadline=None)


def settled(
    rows: list[tuple[Policy, int]], *, capacity_wh: int = 0, ids: list[int] | None = None
) -> Outcome:
    """Settles homes of (policy, amount): a surplus is produced, a need consumed."""
    surplus = [policy <= Policy.SELL_IF_NONE for policy, _ in rows]
    amounts = [amount for _, amount in rows]
    made = [a if s else 0 for a, s in zip(amounts, surplus, strict=True)]
    used = [0 if s else a for a, s in zip(amounts, surplus, strict=True)]
    count = len(rows)
    return settle(
        Roster(ids or list(range(1, count + 1)), [0] * count, [0] * count),
        OrderColumns([int(p) for p, _ in rows], amounts, made, used, [capacity_wh] * count),
        price_neur_per_wh=PRICE,
        seed=42,
        tick=1,
    )


@GENERATED_TICKS
@given(
    rows=homes(),
    credit=st.sampled_from([UNLIMITED, CreditRule(0), CreditRule(10**11)]),
    price=st.integers(1, 10**7),
)
def test_energy_and_money_are_conserved_in_every_generated_tick(
    rows: list[Home], credit: CreditRule, price: int
) -> None:
    """I1, I2: every residual is 0 and no term is below zero."""
    roster, orders = columns(rows)
    outcome = settle(roster, orders, price_neur_per_wh=price, seed=7, tick=3, credit=credit)
    tick = settled_tick(Opening(3, price, 20_000, 0, ()), roster, orders, outcome, (price, []))
    assert audit.residuals(roster, tick) == audit.Residuals()
    paid = sum(outcome.balance_neur) - sum(roster.balance_neur)
    assert paid == price * (sum(outcome.sold_wh) - sum(outcome.bought_wh))


@GENERATED_TICKS
@given(rows=homes(), numbers=st.randoms(use_true_random=False))
def test_the_next_price_does_not_change_when_homes_are_renumbered(
    rows: list[Home], numbers: Random
) -> None:
    """I4, also with a credit limit: class totals decide, not who comes first."""
    ids = list(range(1, len(rows) + 1))
    numbers.shuffle(ids)
    renumbered = sorted((number, *row[1:]) for number, row in zip(ids, rows, strict=True))
    assert price_after(rows) == price_after(renumbered)


def price_after(rows: list[Home]) -> tuple[int, list[tuple[str, int]]]:
    roster, orders = columns(rows)
    outcome = settle(
        roster, orders, price_neur_per_wh=PRICE, seed=7, tick=3, credit=CreditRule(10**11)
    )
    traded = sum(1 for policy in orders.policy if policy)
    return next_price(
        Normalised(),
        MarketOutcome(PRICE, 5_000, traded, sum(outcome.bought_wh), sum(outcome.sold_wh), ()),
    )


@GENERATED_TICKS
@given(rows=homes(), gift_wh=st.integers(1, 5_000))
def test_a_gift_between_homes_that_do_not_trade_leaves_every_sale_and_purchase_as_it_was(
    rows: list[Home], gift_wh: int
) -> None:
    """R12, I4: a giver and a taker that cannot trade match each other first."""
    pair = [(Policy.GIVE_ONLY, gift_wh), (Policy.ASK_ONLY, gift_wh)]
    without = with_pair(rows, [(policy, 0) for policy, _ in pair])
    with_gift = with_pair(rows, pair)
    assert with_gift.sold_wh == without.sold_wh
    assert with_gift.bought_wh == without.bought_wh
    assert sum(with_gift.given_wh) == sum(without.given_wh) + gift_wh


def with_pair(rows: list[Home], pair: list[tuple[Policy, int]]) -> Outcome:
    roster, orders = columns(rows)
    surplus = [amount if policy <= Policy.SELL_IF_NONE else 0 for policy, amount in pair]
    need = [0 if policy <= Policy.SELL_IF_NONE else amount for policy, amount in pair]
    return settle(
        Roster([*roster.home, 101, 102], [*roster.stock_wh, 0, 0], [*roster.balance_neur, 0, 0]),
        OrderColumns(
            [*orders.policy, *(int(policy) for policy, _ in pair)],
            [*orders.amount_wh, *(amount for _, amount in pair)],
            [*orders.produced_wh, *surplus],
            [*orders.consumed_wh, *need],
            [*orders.capacity_wh, 0, 0],
        ),
        price_neur_per_wh=PRICE,
        seed=7,
        tick=3,
    )


def test_a_giver_serves_several_takers_and_a_taker_several_givers() -> None:
    """R9, R13: a surplus is split, the rest given on; whole Wh, nothing lost."""
    outcome = settled(
        [
            (Policy.GIVE_ONLY, 700),
            (Policy.GIVE_ONLY, 500),
            (Policy.ASK_ONLY, 300),
            (Policy.ASK_ONLY, 900),
        ]
    )
    assert outcome.received_wh == [0, 0, 300, 900]
    assert outcome.gifts([1, 2, 3, 4]) == [(1, 3, 300), (1, 4, 400), (2, 4, 500)]


def test_what_a_give_only_home_cannot_give_goes_to_its_stock_and_the_rest_is_spilled() -> None:
    """R10."""
    outcome = settled([(Policy.GIVE_ONLY, 1_000), (Policy.ASK_ONLY, 300)], capacity_wh=500)
    assert (outcome.given_wh[0], outcome.stock_wh[0], outcome.spilled_wh[0]) == (300, 500, 200)
    assert outcome.sold_wh == [0, 0]


def test_sell_if_none_gives_first_and_sells_what_found_no_taker() -> None:
    """R11."""
    outcome = settled([(Policy.SELL_IF_NONE, 1_000), (Policy.BUY_IF_NONE, 400)])
    assert (outcome.given_wh[0], outcome.sold_wh[0]) == (400, 600)
    assert outcome.balance_neur == [600 * PRICE, 0]


def test_buy_if_none_asks_first_and_buys_what_found_no_giver() -> None:
    """R11."""
    outcome = settled([(Policy.GIVE_ONLY, 100), (Policy.BUY_IF_NONE, 400)])
    assert (outcome.received_wh[1], outcome.bought_wh[1]) == (100, 300)
    assert outcome.balance_neur == [0, -300 * PRICE]


def test_sell_only_and_buy_only_homes_never_take_part_in_gifts() -> None:
    """R3."""
    outcome = settled([(Policy.SELL_ONLY, 800), (Policy.BUY_ONLY, 500), (Policy.ASK_ONLY, 200)])
    assert outcome.given_wh == [0, 0, 0]
    assert (outcome.sold_wh[0], outcome.bought_wh[1], outcome.unserved_wh[2]) == (800, 500, 200)


def test_homes_that_can_only_give_or_only_ask_come_before_those_that_can_trade() -> None:
    outcome = settled(
        [
            (Policy.SELL_IF_NONE, 500),
            (Policy.GIVE_ONLY, 500),
            (Policy.BUY_IF_NONE, 400),
            (Policy.ASK_ONLY, 300),
        ]
    )
    assert outcome.given_wh == [200, 500, 0, 0]
    assert outcome.received_wh == [0, 0, 400, 300]
    scarce = settled([(Policy.GIVE_ONLY, 300), (Policy.BUY_IF_NONE, 300), (Policy.ASK_ONLY, 300)])
    assert scarce.received_wh == [0, 0, 300]


def test_equal_takers_share_a_scarce_gift_equally_whatever_their_numbers() -> None:
    """Fairness: over many ticks the odd Wh falls to each of three equal takers as often."""
    odd = {1: 0, 2: 0, 3: 0}
    for tick in range(600):
        outcome = settle(
            Roster([1, 2, 3, 4], [0] * 4, [0] * 4),
            OrderColumns([4, 4, 4, 1], [50, 50, 50, 100], [0, 0, 0, 100], [50, 50, 50, 0], [0] * 4),
            price_neur_per_wh=PRICE,
            seed=42,
            tick=tick,
        )
        assert sorted(outcome.received_wh[:3]) == [33, 33, 34]
        odd[outcome.received_wh.index(34) + 1] += 1
    assert all(150 < count < 250 for count in odd.values()), odd


def test_a_home_without_credit_is_served_with_gifts_only() -> None:
    """Money can run low: the debt before the tick decides, not the order of homes."""
    roster = Roster([1, 2, 3], [0, 0, 0], [0, -11, -10])
    orders = OrderColumns([1, 6, 5], [100, 300, 200], [100, 0, 0], [0, 300, 200], [0, 0, 0])
    outcome = settle(roster, orders, price_neur_per_wh=PRICE, seed=1, tick=1, credit=CreditRule(10))
    assert (outcome.received_wh[1], outcome.bought_wh[1], outcome.unserved_wh[1]) == (100, 0, 200)
    assert outcome.bought_wh[2] == 200


def test_an_absent_home_keeps_its_stock_and_its_money() -> None:
    """I3: recorded absent is an outcome, with no effect."""
    roster = Roster([1, 2], [700, 0], [-5, 0])
    orders = OrderColumns([0, 6], [0, 100], [0, 0], [0, 100], [0, 0])
    outcome = settle(roster, orders, price_neur_per_wh=PRICE, seed=1, tick=1)
    assert (outcome.stock_wh[0], outcome.balance_neur[0], outcome.spilled_wh[0]) == (700, -5, 0)


def test_settling_changes_neither_its_roster_nor_its_orders() -> None:
    roster, orders = columns([(1, 1, 5, 9, 3, 4, 50, 0), (2, 6, 0, 0, 7, 0, 0, 0)])
    before = replace(roster, stock_wh=list(roster.stock_wh)), list(orders.amount_wh)
    settle(roster, orders, price_neur_per_wh=PRICE, seed=1, tick=1)
    assert (roster, orders.amount_wh) == before
