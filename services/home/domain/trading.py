"""A home's tick: meter reading, and from it what its policy makes it offer or request (R6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from energymarket.policies import Policy
from energymarket.randomness import draw_between
from energymarket.units import divide_half_even
from services.home.domain.profile import Profile

HEATING_BELOW_MDEG: Final = 18_000
COOLING_ABOVE_MDEG: Final = 24_000


@dataclass(frozen=True, slots=True)
class Intent:
    """What a home wants in a tick: an offer (0 Wh is its check-in) or a request."""

    home: int
    policy: Policy
    is_offer: bool
    amount_wh: int
    produced_wh: int
    consumed_wh: int
    stock_wh: int
    capacity_wh: int


def intent(
    profile: Profile, *, seed: int, tick: int, temperature_mdeg: int, stock_wh: int
) -> Intent:
    """The order of a home for ``tick``, given its stock from the last receipt (R7).

    With ``has = stock + produced - consumed`` at or above 0 the home offers what exceeds its
    reserve; below 0 it requests all that it lacks.
    """
    consumed_wh = consumption_wh(profile, seed=seed, tick=tick, temperature_mdeg=temperature_mdeg)
    has_wh = stock_wh + profile.production_wh - consumed_wh
    is_offer = has_wh >= 0
    return Intent(
        home=profile.home,
        policy=profile.surplus_policy if is_offer else profile.need_policy,
        is_offer=is_offer,
        amount_wh=max(has_wh - profile.reserve_wh, 0) if is_offer else -has_wh,
        produced_wh=profile.production_wh,
        consumed_wh=consumed_wh,
        stock_wh=stock_wh,
        capacity_wh=profile.capacity_wh,
    )


def consumption_wh(profile: Profile, *, seed: int, tick: int, temperature_mdeg: int) -> int:
    """Energy used in ``tick``: a draw from the home's range, and more when it is cold or hot."""
    drawn = draw_between(
        seed,
        "consumption",
        profile.home,
        tick,
        profile.consumption_low_wh,
        profile.consumption_high_wh,
    )
    heating = profile.heating_wh_per_degree * max(HEATING_BELOW_MDEG - temperature_mdeg, 0)
    cooling = profile.cooling_wh_per_degree * max(temperature_mdeg - COOLING_ABOVE_MDEG, 0)
    total = drawn + divide_half_even(heating + cooling, 1_000)
    if profile.inverse_wh_degrees:
        total += inverse_response(profile.inverse_wh_degrees, temperature_mdeg)
    return max(total, 0)


def inverse_response(wh_degrees: int, temperature_mdeg: int) -> int:
    """1/T of the classic model, in Wh; within one degree of 0 taken at one degree (as pricing)."""
    magnitude = divide_half_even(wh_degrees * 1_000, max(abs(temperature_mdeg), 1_000))
    return magnitude if temperature_mdeg >= 0 else -magnitude
