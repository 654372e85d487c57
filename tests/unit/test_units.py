"""Units are integers, and a division rounds the one way that everybody agrees on."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from energymarket.units import degrees, divide_half_even, eur, eur_per_kwh, kwh

_MILLION_HOMES = 10**24
"""Beyond any sum that a million homes can make, and far beyond 64 bits."""

unhurried = settings(deadline=None)
numerators = st.integers(-_MILLION_HOMES, _MILLION_HOMES)
denominators = st.integers(1, 10**12) | st.integers(1, 20)


@given(numerators, denominators)
@unhurried
@example(5, 2)
@example(-5, 2)
@example(7, 2)
@example(-1, 2)
@example(1, 2)
@example(0, 1)
def test_a_quotient_is_rounded_as_pythons_exact_fractions_are(n: int, d: int) -> None:
    assert divide_half_even(n, d) == round(Fraction(n, d))


@given(st.integers(-(10**15), 10**15), st.sampled_from([1, 2, 4, 5, 8, 10, 1_000, 10_000]))
@unhurried
def test_a_quotient_is_rounded_as_decimal_arithmetic_does_half_to_even(n: int, d: int) -> None:
    """Denominators whose quotients are finite decimals, so that Decimal is exact too."""
    with localcontext() as context:
        context.prec = 60
        exact = Decimal(n) / Decimal(d)
        assert divide_half_even(n, d) == int(exact.to_integral_value(ROUND_HALF_EVEN))


@given(st.integers(-(10**20), 10**20))
@unhurried
def test_a_tie_goes_to_the_even_neighbour(whole: int) -> None:
    rounded = divide_half_even(2 * whole + 1, 2)
    assert rounded % 2 == 0
    assert abs(2 * rounded - (2 * whole + 1)) == 1


@given(numerators, denominators)
@unhurried
def test_rounding_is_blind_to_the_sign(n: int, d: int) -> None:
    """What lowers a price is rounded like what raises it."""
    assert divide_half_even(-n, d) == -divide_half_even(n, d)


@given(st.integers(-(2**62), 2**62))
@unhurried
def test_large_numbers_lose_nothing_as_they_would_in_a_float(n: int) -> None:
    assert divide_half_even(n, 1) == n
    assert divide_half_even(1_000 * n, 1_000) == n


def test_energy_times_price_is_money_exactly() -> None:
    """1 Wh at 1 nEUR/Wh is 1 nEUR, so a bill is never rounded: 1.5 kWh at 0.2 EUR/kWh, 0.3 EUR."""
    energy_wh, price_neur_per_wh = 1_500, 200_000
    assert kwh(energy_wh) == 1.5
    assert eur_per_kwh(price_neur_per_wh) == 0.2
    assert eur(energy_wh * price_neur_per_wh) == 0.3


@pytest.mark.parametrize("price_neur_per_wh", [0, 1, -1, 200_001, 10**12, -(10**12)])
def test_six_decimals_show_any_price_exactly(price_neur_per_wh: int) -> None:
    shown = f"{eur_per_kwh(price_neur_per_wh):.6f}"
    assert Decimal(shown) * 1_000_000 == price_neur_per_wh


def test_temperatures_are_shown_in_degrees() -> None:
    assert degrees(-273_150) == -273.15
