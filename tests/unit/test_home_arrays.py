"""Many homes of a process, computed as arrays: number by number what one home at a time gives."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket.column_arrays import view
from energymarket.messages import TickOpened, Welcome
from energymarket.randomness import draw, draw_between
from energymarket.randomness_arrays import draws, draws_between
from services.home.domain.profile import PROFILES, PolicyChoice, profile_of
from services.home.domain.profile_arrays import PROFILES as PROFILES_AS_ARRAYS
from services.home.domain.profile_arrays import profiles_of
from services.home.domain.trading import intent
from services.home.domain.trading_arrays import intents
from services.home.hosted import FewHomes, hosted
from services.home.hosted_arrays import ManyHomes

SEEDS = st.integers(0, 2**63 - 1)
TICKS = st.integers(0, 2**53)
HOMES = st.lists(st.integers(1, 2**31 - 1), unique=True, max_size=40).map(sorted)
CHOICES = st.sampled_from([PolicyChoice.parse(t) for t in ("", "give_only", "sell_only+ask_only")])
KINDS = st.sampled_from(sorted(PROFILES))


@given(seed=SEEDS, homes=HOMES, tick=TICKS)
def test_draws_of_many_homes_are_those_of_each(seed: int, homes: list[int], tick: int) -> None:
    many = draws(seed, "consumption", view(homes), tick)
    assert many.tolist() == [draw(seed, "consumption", home, tick) for home in homes]


@given(seed=SEEDS, homes=HOMES, tick=TICKS, low=st.integers(-(10**9), 10**9), data=st.data())
def test_draws_within_bounds_are_those_of_each(
    seed: int, homes: list[int], tick: int, low: int, data: st.DataObject
) -> None:
    """One upper bound for all, or one for each."""
    highs = [data.draw(st.integers(low, low + 2**32 - 2)) for _ in homes]
    many = draws_between(seed, "x", view(homes), tick, low, view(highs))
    pairs = zip(homes, highs, strict=True)
    assert many.tolist() == [draw_between(seed, "x", home, tick, low, high) for home, high in pairs]
    same = draws_between(seed, "x", view(homes), tick, low, low + 7)
    assert same.tolist() == [draw_between(seed, "x", home, tick, low, low + 7) for home in homes]


def test_every_kind_of_profile_can_be_made_for_many_homes() -> None:
    assert PROFILES.keys() == PROFILES_AS_ARRAYS.keys()


@settings(deadline=None)
@given(kind=KINDS, seed=SEEDS, homes=HOMES, choice=CHOICES)
def test_profiles_of_many_homes_are_those_of_each(
    kind: str, seed: int, homes: list[int], choice: PolicyChoice
) -> None:
    many = profiles_of(kind, seed, homes, choice)
    for row, home in enumerate(homes):
        one = profile_of(kind, seed, home, choice)
        for each in fields(one):
            column = getattr(many, each.name)
            found = column if isinstance(column, int) else int(column[row])
            assert found == getattr(one, each.name), each.name


@settings(deadline=None)
@given(
    kind=KINDS,
    seed=SEEDS,
    homes=HOMES,
    tick=TICKS,
    temperature_mdeg=st.integers(-273_150, 1_000_000) | st.integers(-2_000, 30_000),
    data=st.data(),
)
def test_orders_of_many_homes_are_those_of_each(
    kind: str, seed: int, homes: list[int], tick: int, temperature_mdeg: int, data: st.DataObject
) -> None:
    """The draw, heat and cold with their rounding, what is offered above the reserve, needs."""
    stocks = [data.draw(st.integers(0, 10**8)) for _ in homes]
    profiles = profiles_of(kind, seed, homes, PolicyChoice())
    many = intents(
        profiles, seed=seed, tick=tick, temperature_mdeg=temperature_mdeg, stock_wh=view(stocks)
    )
    for row, (home, stock_wh) in enumerate(zip(homes, stocks, strict=True)):
        one = intent(
            profile_of(kind, seed, home, PolicyChoice()),
            seed=seed,
            tick=tick,
            temperature_mdeg=temperature_mdeg,
            stock_wh=stock_wh,
        )
        assert (
            bool(many.is_offer[row]),
            int(many.policy[row]),
            int(many.amount_wh[row]),
            int(many.consumed_wh[row]),
        ) == (one.is_offer, one.policy, one.amount_wh, one.consumed_wh)


# ---------------------------------------------------------------------------- a process's homes


def _welcome(homes: list[int]) -> Welcome:
    return Welcome(
        run="r",
        seed=42,
        fleet="f",
        secret="s",
        first_tick=1,
        settled_tick=0,
        home=homes,
        stock_wh=[home % 500 for home in homes],
        opened=None,
    )


def _opened(tick: int) -> TickOpened:
    return TickOpened(
        run="r",
        epoch=1,
        seed=42,
        tick=tick,
        price_neur_per_wh=200_000,
        temperature_mdeg=3_500,
        events=[],
        homes=200,
        degraded=False,
    )


def _as_lists(rows: object) -> list[list[int]]:
    return [list(getattr(rows, each.name)) for each in fields(rows)]  # type: ignore[arg-type]


@pytest.mark.parametrize("told", [[7, 1, 200, 3], [], [5_000, 9], list(range(1, 201))])
def test_many_homes_order_what_few_would_whatever_stocks_they_are_told(told: list[int]) -> None:
    """A refusal names some homes only; one that is not ours changes nothing."""
    homes = [*range(1, 190), *range(250, 260)]
    few = FewHomes("residential", _welcome(homes), PolicyChoice())
    many = ManyHomes("residential", _welcome(homes), PolicyChoice())
    assert list(few.home_ids) == list(many.home_ids)
    for each in (few, many):
        each.set_stocks(told, [11 * home for home in told])
    for tick in (1, 2):
        pairs = zip(few.orders(_opened(tick)), many.orders(_opened(tick)), strict=True)
        for of_few, of_many in pairs:
            assert _as_lists(of_few) == _as_lists(of_many)


def test_only_a_process_of_many_homes_computes_with_arrays() -> None:
    choice = PolicyChoice()
    assert isinstance(hosted("residential", _welcome([1, 2, 3]), choice), FewHomes)
    assert isinstance(hosted("classic", _welcome(list(range(1, 300))), choice), ManyHomes)
