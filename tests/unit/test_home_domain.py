"""Homes: profiles from seed and id alone, consumption by temperature, intents by policy."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energymarket.policies import Policy
from services.home.domain.profile import PROFILES, PolicyChoice, Profile, profile_of
from services.home.domain.trading import Intent, consumption_wh, intent

DRAWN = PolicyChoice()


def home(number: int = 7, **_: int) -> Profile:
    return profile_of("residential", 42, number, DRAWN)


@given(seed=st.integers(0, 2**63 - 1), number=st.integers(1, 2**31 - 1), tick=st.integers(1, 10**6))
def test_the_same_home_has_the_same_profile_and_luck_wherever_it_runs(
    seed: int, number: int, tick: int
) -> None:
    """R4: nothing but (seed, home, tick) goes into a draw."""
    profile = profile_of("residential", seed, number, DRAWN)
    assert profile == profile_of("residential", seed, number, DRAWN)
    drawn = consumption_wh(profile, seed=seed, tick=tick, temperature_mdeg=20_000)
    assert profile.consumption_low_wh <= drawn <= profile.consumption_high_wh
    assert 0 <= profile.reserve_wh <= profile.capacity_wh


def test_consumption_is_drawn_anew_each_tick_from_the_whole_range() -> None:
    """R4."""
    profile = home()
    drawn = [
        consumption_wh(profile, seed=42, tick=t, temperature_mdeg=20_000) for t in range(2_000)
    ]
    width = profile.consumption_high_wh - profile.consumption_low_wh
    assert min(drawn) < profile.consumption_low_wh + width / 50
    assert max(drawn) > profile.consumption_high_wh - width / 50
    middle = (profile.consumption_low_wh + profile.consumption_high_wh) / 2
    assert abs(sum(drawn) / len(drawn) - middle) < width / 40


@given(tick=st.integers(1, 1_000), number=st.integers(1, 200))
def test_colder_and_hotter_mean_more_consumption(tick: int, number: int) -> None:
    """R5."""
    profile = home(number)
    at = [
        consumption_wh(profile, seed=42, tick=tick, temperature_mdeg=t)
        for t in (-10_000, 5_000, 20_000, 30_000, 40_000)
    ]
    assert at[0] > at[1] > at[2] < at[3] < at[4]


def intent_of(profile: Profile, stock_wh: int, tick: int = 1) -> Intent:
    return intent(profile, seed=42, tick=tick, temperature_mdeg=20_000, stock_wh=stock_wh)


@given(number=st.integers(1, 500), tick=st.integers(1, 500), percent=st.integers(0, 100))
def test_an_order_offers_what_exceeds_the_reserve_or_requests_all_that_is_lacking(
    number: int, tick: int, percent: int
) -> None:
    """R6."""
    profile = home(number)
    stock = profile.capacity_wh * percent // 100
    order = intent_of(profile, stock, tick)
    has = stock + order.produced_wh - order.consumed_wh
    if has >= 0:
        assert order.is_offer
        assert order.amount_wh == max(has - profile.reserve_wh, 0)
        assert order.policy == profile.surplus_policy
    else:
        assert not order.is_offer
        assert order.amount_wh == -has
        assert order.policy == profile.need_policy


def test_every_policy_is_drawn_among_homes() -> None:
    """R3: all six."""
    profiles = [home(number) for number in range(1, 301)]
    surplus = Counter(profile.surplus_policy for profile in profiles)
    need = Counter(profile.need_policy for profile in profiles)
    assert min(surplus.values()) > 70
    assert need[Policy.BUY_IF_NONE] > need[Policy.BUY_ONLY] > 30 < need[Policy.ASK_ONLY]


def test_some_homes_have_no_stock_and_some_have() -> None:
    """R4: a capacity, 0 for none."""
    without = sum(1 for number in range(1, 401) if home(number).capacity_wh == 0)
    assert 60 < without < 140


def test_classic_homes_use_their_average_plus_one_over_the_temperature() -> None:
    """R17: averages U(1, 3) kWh, consumption = average + 1/T."""
    profiles = [profile_of("classic", 42, number, DRAWN) for number in range(1, 1_001)]
    for average in ([p.production_wh for p in profiles], [p.consumption_low_wh for p in profiles]):
        assert 1_000 <= min(average) < 1_020
        assert 2_980 < max(average) <= 3_000
        assert abs(sum(average) / 1_000 - 2_000) < 60
    one = profiles[0]
    used = consumption_wh(one, seed=42, tick=5, temperature_mdeg=20_000)
    assert used == one.consumption_low_wh + 50
    assert one.capacity_wh == 0
    assert one.need_policy == Policy.BUY_IF_NONE


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("", PolicyChoice()),
        ("sell_only", PolicyChoice(surplus=Policy.SELL_ONLY)),
        ("ask_only", PolicyChoice(need=Policy.ASK_ONLY)),
        ("give_only + buy_only", PolicyChoice(Policy.GIVE_ONLY, Policy.BUY_ONLY)),
    ],
)
def test_policies_can_be_fixed_for_every_home(text: str, choice: PolicyChoice) -> None:
    """R3, R24."""
    assert PolicyChoice.parse(text) == choice
    for profile in PROFILES:
        made = profile_of(profile, 42, 3, choice)
        assert choice.surplus in (None, made.surplus_policy)
        assert choice.need in (None, made.need_policy)


@pytest.mark.parametrize("text", ["sell", "sell_only+give_only", "ask_only+buy_only", "sell_only+"])
def test_a_wrong_policy_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="one of give_only, sell_only, sell_if_none"):
        PolicyChoice.parse(text)
