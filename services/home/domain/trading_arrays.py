"""A tick of many homes at once: the orders of ``trading``, home by home, as arrays.

Nothing here can leave 64 bits: a profile's energies and a temperature are far too small for it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energymarket.column_arrays import Flags, Numbers
from energymarket.randomness_arrays import draws_between
from services.home.domain.profile_arrays import Profiles
from services.home.domain.trading import COOLING_ABOVE_MDEG, HEATING_BELOW_MDEG, inverse_response


@dataclass(frozen=True, slots=True)
class Intents:
    """What an ``Intent`` says, for each of many homes."""

    is_offer: Flags
    policy: Numbers
    amount_wh: Numbers
    consumed_wh: Numbers


def intents(
    profiles: Profiles, *, seed: int, tick: int, temperature_mdeg: int, stock_wh: Numbers
) -> Intents:
    """``trading.intent`` for each of the homes."""
    consumed_wh = consumptions_wh(profiles, seed=seed, tick=tick, temperature_mdeg=temperature_mdeg)
    has_wh = stock_wh + profiles.production_wh - consumed_wh
    is_offer = has_wh >= 0
    offered_wh = np.maximum(has_wh - profiles.reserve_wh, 0)
    return Intents(
        is_offer=is_offer,
        policy=np.where(is_offer, profiles.surplus_policy, profiles.need_policy),
        amount_wh=np.where(is_offer, offered_wh, -has_wh),
        consumed_wh=consumed_wh,
    )


def consumptions_wh(profiles: Profiles, *, seed: int, tick: int, temperature_mdeg: int) -> Numbers:
    """``trading.consumption_wh`` for each of the homes."""
    used_wh = draws_between(
        seed,
        "consumption",
        profiles.home,
        tick,
        profiles.consumption_low_wh,
        profiles.consumption_high_wh,
    )
    below, above = HEATING_BELOW_MDEG - temperature_mdeg, temperature_mdeg - COOLING_ABOVE_MDEG
    if below > 0:
        used_wh += _rounded_thousandths(profiles.heating_wh_per_degree * below)
    if above > 0:
        used_wh += _rounded_thousandths(profiles.cooling_wh_per_degree * above)
    if profiles.inverse_wh_degrees:
        used_wh += inverse_response(profiles.inverse_wh_degrees, temperature_mdeg)
    return np.maximum(used_wh, 0)


def _rounded_thousandths(numbers: Numbers) -> Numbers:
    """``units.divide_half_even(number, 1_000)`` for each of the numbers."""
    quotients = numbers // 1_000
    twice = 2 * (numbers - 1_000 * quotients)
    quotients += (twice > 1_000) | ((twice == 1_000) & (quotients & 1 == 1))
    return quotients
