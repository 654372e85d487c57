"""Climates: what they promise about the series, and the series itself (R5, R17, R20)."""

from __future__ import annotations

import ast
import math
import statistics
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.weather.domain import climate as climate_module
from services.weather.domain.climate import (
    CLASSIC,
    CLIMATES,
    MEDITERRANEAN,
    NORDIC,
    TEMPERATE,
    Climate,
    SeasonalClimate,
    season_permyriad,
)

HOURS_IN_YEAR = 24 * 365
YEARS = 6

GOLDEN_TEMPERATE_MDEG = [
    *(3_511, 2_347, 1_780, 1_605, 1_476, 704, 1_278, 1_593, 2_337, 3_594, 5_129, 6_228),
    *(7_048, 7_711, 8_165, 8_303, 8_807, 8_012, 7_609, 6_575, 6_139, 5_517, 4_577, 3_304),
]
GOLDEN_CLASSIC_MDEG = [
    *(20_416, 11_213, 6_301, 23_436, 15_577, 27_357, 21_642, 18_245, 20_196, 24_161, 14_302, 8_119),
    *(18_924, 9_834, 11_958, 28_473, 8_130, 29_586, 31_157, 26_149, 28_127, 14_411, 12_705, 28_653),
]
GOLDEN_YEARS = {
    "temperate": "ab1f2c12cded005f",
    "mediterranean": "b3dbc4520b49036b",
    "nordic": "60280ddc8bceaa7a",
    "classic": "e902c77b0c028823",
}
"""Head of the SHA-256 of the first year of seed 42, ticks 0 to 8,759, as Python prints the list."""

JANUARY, APRIL, JULY, OCTOBER = 0, 90, 181, 273
"""First days of months, 1 January being 0."""


def series(climate: Climate, ticks: int, seed: int = 42) -> list[int]:
    return [climate.temperature_mdeg(seed, tick) for tick in range(1, ticks + 1)]


@pytest.fixture(scope="module")
def temperate_mdeg() -> list[int]:
    """Six years of ``temperate``, from tick 1 on."""
    return series(TEMPERATE, YEARS * HOURS_IN_YEAR)


def day_means(temperatures_mdeg: Sequence[int]) -> list[float]:
    days = range(0, len(temperatures_mdeg), 24)
    return [statistics.fmean(temperatures_mdeg[day : day + 24]) for day in days]


def month_mean(temperatures_mdeg: Sequence[int], first_day: int) -> float:
    """Mean over all years of the 30 days from ``first_day`` of the year on."""
    return statistics.fmean(
        mean
        for day, mean in enumerate(day_means(temperatures_mdeg))
        if (day + APRIL - first_day) % 365 < 30
    )


def anomalies(temperatures_mdeg: Sequence[int]) -> list[float]:
    """Day means less the season."""
    return [
        mean - TEMPERATE.mean_mdeg - TEMPERATE.season_mdeg * season_permyriad(day + APRIL) / 10_000
        for day, mean in enumerate(day_means(temperatures_mdeg))
    ]


# --------------------------------------------------------------------------------- the series


def test_the_first_day_of_seed_42_is_what_it_always_was() -> None:
    """R20: a change to the series changes every ledger, so it must not come unnoticed."""
    assert series(TEMPERATE, 24) == GOLDEN_TEMPERATE_MDEG


def test_the_first_classic_ticks_of_seed_42_are_what_they_always_were() -> None:
    """R17."""
    assert series(CLASSIC, 24) == GOLDEN_CLASSIC_MDEG


@pytest.mark.parametrize("climate", CLIMATES.values(), ids=list(CLIMATES))
def test_the_first_year_of_seed_42_is_what_it_always_was(climate: Climate) -> None:
    """R5, R20."""
    year = [climate.temperature_mdeg(42, tick) for tick in range(HOURS_IN_YEAR)]

    assert sha256(repr(year).encode()).hexdigest()[:16] == GOLDEN_YEARS[climate.name]


@pytest.mark.parametrize("climate", CLIMATES.values(), ids=list(CLIMATES))
def test_a_temperature_depends_on_nothing_but_seed_and_tick(climate: Climate) -> None:
    """R20: a restarted weather writes the same temperatures, from whatever tick it begins."""
    forwards = series(climate, 500)
    backwards = [climate.temperature_mdeg(42, tick) for tick in range(500, 0, -1)]

    assert backwards[::-1] == forwards
    assert series(climate, 500, seed=43) != forwards


@given(
    name=st.sampled_from(sorted(CLIMATES)),
    seed=st.integers(0, 2**63 - 1),
    tick=st.integers(0, 2**53),
)
def test_any_tick_of_any_seed_is_an_integer_that_a_message_may_carry(
    name: str, seed: int, tick: int
) -> None:
    temperature_mdeg = CLIMATES[name].temperature_mdeg(seed, tick)

    assert isinstance(temperature_mdeg, int)
    assert -60_000 < temperature_mdeg < 60_000


def test_no_float_and_no_maths_library_has_a_part_in_it() -> None:
    """Their last bit differs between machines."""
    tree = ast.parse(Path(climate_module.__file__).read_text())
    floats = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is float]
    divisions = [n for n in ast.walk(tree) if isinstance(n, ast.Div)]
    imported = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}

    assert floats == []
    assert divisions == []
    assert imported == {
        "__future__",
        "dataclasses",
        "functools",
        "typing",
        "energymarket.randomness",
        "energymarket.units",
    }


def test_every_climate_is_registered_under_its_own_name() -> None:
    assert {"temperate", "classic"} <= set(CLIMATES)
    assert all(climate.name == name for name, climate in CLIMATES.items())


# ------------------------------------------------------------------------------------ seasons


def test_the_season_follows_a_cosine_with_its_low_in_january_and_its_high_in_july() -> None:
    """R5: the year asks for heating and for cooling."""
    for day in range(365):
        exact = -math.cos(2 * math.pi * (day - 20) / 365)
        assert season_permyriad(day) == pytest.approx(10_000 * exact, abs=20)


def test_the_season_repeats_every_year_and_sums_up_to_nearly_nothing() -> None:
    assert all(season_permyriad(day) == season_permyriad(day + 365) for day in range(365))
    assert abs(sum(season_permyriad(day) for day in range(365))) < 365


def test_the_yearly_mean_of_temperate_is_about_eleven_degrees(temperate_mdeg: list[int]) -> None:
    """R5."""
    assert statistics.fmean(temperate_mdeg) == pytest.approx(11_000, abs=500)


def test_july_is_about_twenty_degrees_warmer_than_january(temperate_mdeg: list[int]) -> None:
    """R5."""
    january_mdeg = month_mean(temperate_mdeg, JANUARY)
    july_mdeg = month_mean(temperate_mdeg, JULY)

    assert january_mdeg == pytest.approx(1_000, abs=1_500)
    assert july_mdeg == pytest.approx(21_000, abs=1_500)
    assert january_mdeg < month_mean(temperate_mdeg, APRIL) < july_mdeg
    assert january_mdeg < month_mean(temperate_mdeg, OCTOBER) < july_mdeg


def test_the_climates_differ_as_their_names_say() -> None:
    means_mdeg = {
        climate.name: statistics.fmean(series(climate, HOURS_IN_YEAR))
        for climate in (NORDIC, TEMPERATE, MEDITERRANEAN)
    }

    assert means_mdeg["nordic"] + 5_000 < means_mdeg["temperate"]
    assert means_mdeg["temperate"] + 5_000 < means_mdeg["mediterranean"]


# ------------------------------------------------------------------------------ day and night


def test_it_is_coldest_before_sunrise_and_warmest_in_the_afternoon(
    temperate_mdeg: list[int],
) -> None:
    """R5: tick 1 is the hour from midnight."""
    by_hour = [statistics.fmean(temperate_mdeg[hour::24]) for hour in range(24)]
    mean_mdeg = statistics.fmean(by_hour)

    assert by_hour.index(min(by_hour)) == 5
    assert by_hour.index(max(by_hour)) == 15
    assert max(by_hour) - mean_mdeg == pytest.approx(4_000, abs=150)
    assert mean_mdeg - min(by_hour) == pytest.approx(4_000, abs=150)


def test_an_hour_never_jumps_by_more_than_noise_sun_and_weather_allow(
    temperate_mdeg: list[int],
) -> None:
    steps = [abs(b - a) for a, b in pairwise(temperate_mdeg)]

    assert max(steps) < 3_000


# --------------------------------------------------------------------------------- persistence


def test_the_weather_of_a_day_strays_from_the_season_by_about_three_degrees(
    temperate_mdeg: list[int],
) -> None:
    """The mean over a day smooths the anomaly a little, so slightly less than 3."""
    strayed = anomalies(temperate_mdeg)

    assert statistics.fmean(strayed) == pytest.approx(0, abs=400)
    assert 2_300 < statistics.pstdev(strayed) < 3_300


def test_neighbouring_days_are_alike_and_days_ten_apart_are_not(temperate_mdeg: list[int]) -> None:
    strayed = anomalies(temperate_mdeg)

    def correlation(days_apart: int) -> float:
        return statistics.correlation(strayed[:-days_apart], strayed[days_apart:])

    assert correlation(1) > 0.6
    assert 0.3 < correlation(2) < correlation(1)
    assert abs(correlation(10)) < 0.1


def test_different_seeds_have_unrelated_weather() -> None:
    ticks = 2 * HOURS_IN_YEAR
    one, other = (anomalies(series(TEMPERATE, ticks, seed)) for seed in (1, 2))

    assert abs(statistics.correlation(one, other)) < 0.15


def test_a_climate_without_weather_and_noise_is_season_and_day_alone() -> None:
    plain = SeasonalClimate("plain", 11_000, 0, 0, 0, 0)

    assert set(series(plain, 24 * 400)) == {11_000}


# ------------------------------------------------------------------------------------- classic


def test_classic_is_uniform_from_5_to_35_degrees() -> None:
    """R17: T = 20 +/- 15, each value as likely as any other."""
    drawn = series(CLASSIC, 30_000)

    assert min(drawn) >= 5_000
    assert max(drawn) <= 35_000
    tenths = [sum(5_000 + 3_000 * i <= t < 8_000 + 3_000 * i for t in drawn) for i in range(10)]
    assert all(count == pytest.approx(3_000, abs=200) for count in tenths)


def test_classic_has_no_memory_from_tick_to_tick() -> None:
    """R17."""
    drawn = series(CLASSIC, 30_000)

    assert abs(statistics.correlation(drawn[:-1], drawn[1:])) < 0.03
