"""Climates: the temperature of any tick, as a pure integer function of the seed and the tick.

Tick 1 is the hour from midnight of 1 April, a year has 365 days, and nothing but integers is
involved: what this module says is what goes to the ledger, so every machine must say the same.

A ``SeasonalClimate`` adds four parts: the season, day and night, the weather of the day, and a
little noise per hour. Weather persists without any state: the anomaly of a day is a weighted sum
of independent draws for that day and the seven before it, weights falling by 0.7 a day. Days next
to each other share most of their draws, days eight or more apart share none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

from energymarket.randomness import draw, draw_between
from energymarket.units import divide_half_even

HOURS_IN_DAY: Final = 24
DAYS_IN_YEAR: Final = 365
_FIRST_DAY_OF_YEAR: Final = 90
"""Day of the year of tick 1, 1 January being 0: 1 April."""

_COLDEST_DAY_OF_YEAR: Final = 20
"""21 January; the warmest is half a year later, 22 July."""

_DAY_NIGHT_PERMILLE: Final = (
    # hour 0 to 23: coldest at 5, before sunrise, warmest at 15; a cosine up and a slower one down;
    # the sum is 0, so that day and night do not move the mean
    *(-434, -623, -782, -901, -975, -1000, -951, -809, -588, -309, 0, 309),
    *(588, 809, 951, 1000, 975, 901, 782, 623, 434, 223, 0, -223),
)

_MEMORY_WEIGHTS: Final = (1000, 700, 490, 343, 240, 168, 118, 82)
"""How much the draw of today, of yesterday, … counts in today's anomaly: 1000 * 0.7**days ago."""

_ANOMALY_SCALE: Final = 52_893_967
"""Standard deviation of the weighted sum: 37,837.2 (of one draw, see ``_bell``) times 1,397.9
(root of the sum of the squared weights)."""


class Climate(Protocol):
    """Where the weather comes from."""

    @property
    def name(self) -> str:
        """The name under which a setting asks for it."""

    def temperature_mdeg(self, seed: int, tick: int) -> int:
        """Temperature of ``tick`` in milli-degrees C; pure, any tick from 0 on, in any order."""


@dataclass(frozen=True, slots=True)
class SeasonalClimate:
    """Season, day and night, weather that lasts for some days, noise; all in milli-degrees C.

    ``season_mdeg`` and ``day_night_mdeg`` are amplitudes, from the mean to the peak;
    ``anomaly_mdeg`` is the standard deviation of the day's weather; ``hourly_mdeg`` the most that
    the noise of an hour adds or takes.
    """

    name: str
    mean_mdeg: int
    season_mdeg: int
    day_night_mdeg: int
    anomaly_mdeg: int
    hourly_mdeg: int

    def temperature_mdeg(self, seed: int, tick: int) -> int:
        """See ``Climate``."""
        day, hour = divmod(tick - 1, HOURS_IN_DAY)
        today_mdeg = _day_mdeg(self, seed, day)
        tomorrow_mdeg = _day_mdeg(self, seed, day + 1)
        level_mdeg = today_mdeg + divide_half_even((tomorrow_mdeg - today_mdeg) * hour, 24)
        sun_mdeg = divide_half_even(self.day_night_mdeg * _DAY_NIGHT_PERMILLE[hour], 1000)
        noise_mdeg = draw_between(
            seed, "weather.hour", 0, tick, -self.hourly_mdeg, self.hourly_mdeg
        )
        return level_mdeg + sun_mdeg + noise_mdeg


@dataclass(frozen=True, slots=True)
class UniformClimate:
    """Each tick on its own, uniform in ``[low_mdeg, high_mdeg]``: no season, no day, no memory."""

    name: str
    low_mdeg: int
    high_mdeg: int

    def temperature_mdeg(self, seed: int, tick: int) -> int:
        """See ``Climate``."""
        return draw_between(seed, "weather.uniform", 0, tick, self.low_mdeg, self.high_mdeg)


@lru_cache(maxsize=1024)
def _day_mdeg(climate: SeasonalClimate, seed: int, day: int) -> int:
    """Level at midnight, as ``day`` begins: yearly mean, season and the weather of the day."""
    season_mdeg = season_permyriad(day + _FIRST_DAY_OF_YEAR) * climate.season_mdeg
    anomaly_mdeg = _anomaly(seed, day) * climate.anomaly_mdeg
    return (
        climate.mean_mdeg
        + divide_half_even(season_mdeg, 10_000)
        + divide_half_even(anomaly_mdeg, _ANOMALY_SCALE)
    )


def season_permyriad(day_of_year: int) -> int:
    """How warm a day of the year is, from -10,000 (21 January) to 10,000 (22 July).

    A sine by Bhaskara's rational formula of the 7th century, which is right to 0.17 % and needs
    nothing but integers: over half a turn of ``h`` units, sin(x) = 16x(h-x) / (5h² - 4x(h-x)).
    A unit is a quarter of a day here: a turn is 1,460 of them, half a turn 730.
    """
    quarters = (4 * (day_of_year - _COLDEST_DAY_OF_YEAR) - DAYS_IN_YEAR) % (4 * DAYS_IN_YEAR)
    half_turn = 2 * DAYS_IN_YEAR
    sign, quarters = (1, quarters) if quarters < half_turn else (-1, quarters - half_turn)
    product = quarters * (half_turn - quarters)
    return sign * divide_half_even(160_000 * product, 5 * half_turn * half_turn - 4 * product)


def _anomaly(seed: int, day: int) -> int:
    """Weather of a day: nearly normal, mean 0, standard deviation ``_ANOMALY_SCALE``."""
    return sum(w * _bell(seed, day - ago) for ago, w in enumerate(_MEMORY_WEIGHTS))


def _bell(seed: int, day: int) -> int:
    """A draw for ``day`` that is nearly normal: mean 0, standard deviation 37,837.2.

    The sum of the four 16-bit quarters of one draw (Irwin-Hall), less its mean: variance
    4 * (65,536² - 1) / 12. The day is shifted so that what goes into the draw is never negative.
    """
    bits = draw(seed, "weather.day", 0, day + len(_MEMORY_WEIGHTS))
    quarters = (bits & 0xFFFF, bits >> 16 & 0xFFFF, bits >> 32 & 0xFFFF, bits >> 48)
    return sum(quarters) - 2 * 0xFFFF


TEMPERATE: Final = SeasonalClimate(
    name="temperate",
    mean_mdeg=11_000,
    season_mdeg=10_000,
    day_night_mdeg=4_000,
    anomaly_mdeg=3_000,
    hourly_mdeg=400,
)
"""Mild, as in central Europe: January about 1 degree C, July about 21. The default."""

MEDITERRANEAN: Final = SeasonalClimate(
    name="mediterranean",
    mean_mdeg=18_000,
    season_mdeg=8_000,
    day_night_mdeg=5_000,
    anomaly_mdeg=2_000,
    hourly_mdeg=300,
)
"""Hot summers that ask for cooling, winters that hardly ask for heat."""

NORDIC: Final = SeasonalClimate(
    name="nordic",
    mean_mdeg=3_000,
    season_mdeg=14_000,
    day_night_mdeg=3_000,
    anomaly_mdeg=4_500,
    hourly_mdeg=500,
)
"""Long, hard winters: January about -11 degrees C, July about 17."""

CLASSIC: Final = UniformClimate(name="classic", low_mdeg=5_000, high_mdeg=35_000)
"""20 +/- 15 degrees C, drawn anew each tick, as the first programs of this kind had it."""

CLIMATES: Final[dict[str, Climate]] = {
    climate.name: climate for climate in (TEMPERATE, MEDITERRANEAN, NORDIC, CLASSIC)
}
"""Every climate by its name."""
