"""Units of the energy market, all of them integers.

==============  =================================  =======================
quantity        unit in code, on the wire, stored  people see
==============  =================================  =======================
energy          watt-hour, ``_wh``                 kWh
money           nano-euro, ``_neur``               EUR
price           nano-euro per Wh, ``_neur_per_wh`` EUR/kWh
temperature     milli-degree Celsius, ``_mdeg``    degrees C
time            tick, an hour of simulated time    tick number
==============  =================================  =======================

A nano-euro per watt-hour is a micro-euro per kilowatt-hour, so an energy times a price is money
exactly: nothing is ever rounded when a bill is made.
"""

from __future__ import annotations

NEUR_PER_WH_IN_EUR_PER_KWH = 1_000_000
NEUR_IN_EUR = 1_000_000_000
WH_IN_KWH = 1_000
MDEG_IN_DEGREE = 1_000


def eur_per_kwh(price_neur_per_wh: int) -> float:
    """Price for people, EUR/kWh; six decimals hold it exactly."""
    return price_neur_per_wh / NEUR_PER_WH_IN_EUR_PER_KWH


def eur(money_neur: int) -> float:
    """Money for people, EUR."""
    return money_neur / NEUR_IN_EUR


def kwh(energy_wh: int) -> float:
    """Energy for people, kWh."""
    return energy_wh / WH_IN_KWH


def degrees(temperature_mdeg: int) -> float:
    """Temperature for people, degrees Celsius."""
    return temperature_mdeg / MDEG_IN_DEGREE


def divide_half_even(numerator: int, denominator: int) -> int:
    """Integer quotient rounded to the nearest, a tie to the even one (as ``round`` does).

    ``denominator`` must be positive. Exact for integers of any size, unlike a float division.
    """
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient
