"""Price models: named terms that add up, the published classic formula, levels and events."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from energymarket.messages import MAX_PRICE_NEUR_PER_WH, LiveEvent
from services.market.domain.pricing import (
    PRICE_MODELS,
    Classic,
    MarketOutcome,
    Normalised,
    PriceModel,
    Term,
    next_price,
    register,
)


def event(name: str, coefficient: int = 10_000) -> LiveEvent:
    return LiveEvent(name=name, coefficient_neur_per_wh=coefficient, remaining_ticks=3)


outcomes = st.builds(
    MarketOutcome,
    price_neur_per_wh=st.integers(0, 10**9),
    temperature_mdeg=st.integers(-40_000, 50_000),
    homes=st.integers(0, 10_000),
    bought_wh=st.integers(0, 10**9),
    sold_wh=st.integers(0, 10**9),
    events=st.lists(
        st.builds(event, st.sampled_from(["war", "sun"]), st.integers(-50_000, 50_000)), max_size=4
    ),
)


@given(outcome=outcomes, name=st.sampled_from(sorted(PRICE_MODELS)))
def test_the_terms_of_every_model_add_up_to_its_price_exactly(
    outcome: MarketOutcome, name: str
) -> None:
    """R16."""
    model = PRICE_MODELS[name]()
    price, terms = next_price(model, outcome)
    assert price == sum(value for _, value in terms)
    assert model.floor_neur_per_wh <= price <= MAX_PRICE_NEUR_PER_WH
    assert len({term for term, _ in terms}) == len(terms)


def published(
    price: Fraction, celsius: Fraction, bought: Fraction, sold: Fraction, *flags: int
) -> Fraction:
    """The second source's formula in exact arithmetic, EUR/kWh."""
    war, shortage = flags
    total = (
        Fraction(75, 100) * price
        + Fraction(1, 2) / celsius
        + Fraction(5, 100) * bought
        - Fraction(2, 100) * sold
        + Fraction(2, 10) * war
        + Fraction(7, 100) * shortage
    )
    return max(Fraction(5, 100), total)


@given(
    price=st.integers(50_000, 10**7),
    mdeg=st.integers(5_000, 35_000),
    bought=st.integers(0, 10**6),
    sold=st.integers(0, 10**6),
    war=st.booleans(),
    shortage=st.booleans(),
)
def test_classic_is_the_published_formula_to_the_sixth_digit(
    price: int, mdeg: int, bought: int, sold: int, war: bool, shortage: bool
) -> None:
    """R17: within the two half units that rounding 0.75 P and 0.5/T to micro-EUR can make."""
    events = [event("war")] * war + [event("fuel_shortage")] * shortage
    ours, _ = next_price(Classic(), MarketOutcome(price, mdeg, 20, bought, sold, events))
    exact = published(
        Fraction(price, 10**6),
        Fraction(mdeg, 1000),
        Fraction(bought, 1000),
        Fraction(sold, 1000),
        war,
        shortage,
    )
    assert abs(ours - exact * 10**6) <= 1


def test_classic_gives_the_published_numbers_for_a_tick_worked_by_hand() -> None:
    """R17: 0.75 x 0.17 + 0.5/20 + 0.05 x 2 - 0.02 x 1.5 + 0.2 + 0.07 = 0.4925 EUR/kWh."""
    price, terms = next_price(
        Classic(),
        MarketOutcome(170_000, 20_000, 5, 2_000, 1_500, [event("war"), event("fuel_shortage")]),
    )
    assert price == 492_500
    assert dict(terms) == {
        "decay": 127_500,
        "temperature": 25_000,
        "bought": 100_000,
        "sold": -30_000,
        "event:war": 200_000,
        "event:fuel_shortage": 70_000,
    }


def test_classic_starts_at_17_cents_and_never_falls_below_5() -> None:
    """R17."""
    assert Classic.start_neur_per_wh == 170_000
    price, terms = next_price(Classic(), MarketOutcome(60_000, 20_000, 20, 0, 100_000, ()))
    assert price == 50_000
    assert dict(terms)["floor"] > 0


def test_classic_takes_one_degree_for_temperatures_nearer_to_zero() -> None:
    """R17: the guard near 0, with the temperature's sign."""
    terms = {
        t: dict(Classic().terms(MarketOutcome(0, t, 1, 0, 0, ())))["temperature"]
        for t in (-2_000, -1, 0, 1, 999, 1_000)
    }
    assert terms == {
        -2_000: -250_000,
        -1: -500_000,
        0: 500_000,
        1: 500_000,
        999: 500_000,
        1_000: 500_000,
    }


@given(homes=st.integers(1, 1_000), copies=st.integers(2, 1_000))
def test_the_normalised_price_does_not_depend_on_how_many_homes_there_are(
    homes: int, copies: int
) -> None:
    """R18: the same neighbourhood many times over has the same price."""
    small = MarketOutcome(200_000, 10_000, homes, 700 * homes, 400 * homes, ())
    many = homes * copies
    large = MarketOutcome(200_000, 10_000, many, 700 * many, 400 * many, ())
    assert next_price(Normalised(), small) == next_price(Normalised(), large)


def test_buying_and_cold_raise_the_normalised_price_and_selling_lowers_it() -> None:
    """R12, R16."""

    def price(**changes: int) -> int:
        given = {"temperature_mdeg": 20_000, "bought_wh": 1_000, "sold_wh": 1_000, **changes}
        return next_price(
            Normalised(), MarketOutcome(price_neur_per_wh=200_000, homes=2, events=(), **given)
        )[0]

    still = price()
    assert still == 200_000
    assert price(bought_wh=2_000) > still > price(sold_wh=2_000)
    assert price(temperature_mdeg=0) > still < price(temperature_mdeg=35_000)


def test_live_events_add_up_and_some_lower_the_price() -> None:
    """R19: two of a kind count twice, and a negative coefficient takes off."""
    events = [event("war", 20_000), event("war", 5_000), event("sun", -8_000)]
    _, terms = next_price(Normalised(), MarketOutcome(200_000, 20_000, 1, 0, 0, events))
    assert dict(terms)["event:war"] == 25_000
    assert dict(terms)["event:sun"] == -8_000


def test_a_further_model_is_one_small_class() -> None:
    """R16: registered, it prices like the others."""

    @register
    class Flat:
        name: ClassVar[str] = "flat"
        start_neur_per_wh: ClassVar[int] = 300_000
        floor_neur_per_wh: ClassVar[int] = 0

        def terms(self, outcome: MarketOutcome) -> list[Term]:
            return [("flat", 300_000)]

    try:
        model: PriceModel = PRICE_MODELS["flat"]()
        assert next_price(model, MarketOutcome(1, 1, 1, 1, 1, ())) == (300_000, [("flat", 300_000)])
    finally:
        del PRICE_MODELS["flat"]
