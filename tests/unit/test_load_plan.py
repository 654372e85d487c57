"""What a load test is to do: how homes are divided among fleets, workers and messages."""

from __future__ import annotations

import pytest

from energymarket.codec import MAX_BODY_BYTES, encode
from energymarket.errors import SettingsError
from energymarket.messages import (
    MAX_ENERGY_WH,
    MAX_MONEY_NEUR,
    MAX_PRICE_NEUR_PER_WH,
    MOST_HOMES_PER_MESSAGE,
    OpenedTick,
    Receipts,
)
from lab.load.plan import LoadPlan

_HIGHEST_HOME = 2**31 - 1


def test_homes_and_fleets_are_divided_evenly_and_none_is_lost() -> None:
    plan = LoadPlan(amqp_url="", homes=1_003, fleets=7, processes=3)
    assert sum(plan.sizes()) == 1_003
    assert max(plan.sizes()) - min(plan.sizes()) == 1
    crews = plan.crews()
    assert [size for crew in crews for size in crew] == plan.sizes()
    assert sorted(len(crew) for crew in crews) == [2, 2, 3]


def test_there_are_no_more_workers_than_fleets() -> None:
    assert len(LoadPlan(amqp_url="", homes=5, fleets=2, processes=16).crews()) == 2


def test_more_fleets_than_homes_are_refused() -> None:
    with pytest.raises(SettingsError, match="--fleets is 5; it must be at most --homes"):
        LoadPlan(amqp_url="", homes=4, fleets=5).check()


@pytest.mark.parametrize(
    ("homes", "fleets", "most", "messages"),
    [
        *((10, 2, 0, 4), (10, 2, 1, 10), (10, 2, 2, 8), (10, 10, 3, 10)),
        (1_000_000, 4, 0, 24),
    ],
)
def test_the_messages_of_a_tick_are_counted_before_they_are_sent(
    homes: int, fleets: int, most: int, messages: int
) -> None:
    """More than the market takes before it settles, and the tick would never be complete."""
    plan = LoadPlan(amqp_url="", homes=homes, fleets=fleets, homes_per_message=most)
    assert plan.messages_per_tick() == messages


@pytest.mark.parametrize(
    ("homes", "asked", "told"),
    [(50_000, 0, 0), (50_001, 0, 50_000), (1_000_000, 0, 50_000), (1_000_000, 7, 7)],
)
def test_a_fleet_too_large_for_a_message_is_divided_unasked(
    homes: int, asked: int, told: int
) -> None:
    plan = LoadPlan(amqp_url="", homes=homes, fleets=1, homes_per_message=asked)
    plan.check()
    assert plan.most_per_message() == told


def test_more_homes_to_a_message_than_surely_fit_are_refused() -> None:
    plan = LoadPlan(amqp_url="", homes=60_000, fleets=1, homes_per_message=50_001)
    with pytest.raises(SettingsError, match="--homes-per-message is 50001; more than 50000 need"):
        plan.check()


def test_the_longest_message_with_two_gifts_to_a_home_fits_into_a_body() -> None:
    """However long its numbers. Pairing makes fewer gifts than homes in all, but nothing bounds
    those of one message so: a home that gives may have takers in many. That the homes of a load
    stay far below is in ``test_load_fleets``."""
    homes = MOST_HOMES_PER_MESSAGE
    energy, money = [2 * MAX_ENERGY_WH] * homes, [-MAX_MONEY_NEUR] * homes
    home = [_HIGHEST_HOME] * homes
    receipts = Receipts(
        run="f" * 16,
        fleet="f" * 32,
        tick=2**53,
        price_neur_per_wh=MAX_PRICE_NEUR_PER_WH,
        late=False,
        opened=OpenedTick(
            epoch=10**9,
            seed=2**63 - 1,
            tick=2**53,
            price_neur_per_wh=MAX_PRICE_NEUR_PER_WH,
            temperature_mdeg=-273_150,
        ),
        home=home,
        present=[1] * homes,
        net_wh=[-each for each in energy],
        given_wh=energy,
        received_wh=energy,
        sold_wh=energy,
        bought_wh=energy,
        spilled_wh=energy,
        unserved_wh=energy,
        stock_wh=energy,
        charged_neur=money,
        balance_neur=money,
        gift_giver=home * 2,
        gift_taker=home * 2,
        gift_wh=energy * 2,
    )
    assert len(encode(receipts)) < MAX_BODY_BYTES
