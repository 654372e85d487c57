"""What a home is: a pure function of (seed, home id), never of the process that hosts it.

Profiles have names; ``ENERGYMARKET_HOME_PROFILE`` chooses one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from energymarket.policies import NEED_POLICIES, SURPLUS_POLICIES, Policy
from energymarket.randomness import draw_between

ONCE: Final = 0
"""The tick of all draws for a profile: it is drawn once, not per tick."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One home: what it produces, uses, can store, and how it trades. Energies are per tick.

    Consumption is drawn anew each tick from ``[consumption_low_wh, consumption_high_wh]`` (R4) and
    grows with every degree below ``HEATING_BELOW_MDEG`` or above ``COOLING_ABOVE_MDEG`` (R5);
    ``inverse_wh_degrees`` / T is the classic model's response. A home with more than
    ``reserve_wh`` in stock offers the rest.
    """

    home: int
    production_wh: int
    consumption_low_wh: int
    consumption_high_wh: int
    heating_wh_per_degree: int
    cooling_wh_per_degree: int
    inverse_wh_degrees: int
    capacity_wh: int
    reserve_wh: int
    surplus_policy: Policy
    need_policy: Policy


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """Policies fixed for every home; None leaves that side to be drawn per home."""

    surplus: Policy | None = None
    need: Policy | None = None

    @classmethod
    def parse(cls, text: str) -> PolicyChoice:
        """From one policy name, or a surplus and a need policy joined by ``+``.

        Raises ``ValueError`` with what is allowed.
        """
        names = {policy.label: policy for policy in Policy}
        chosen = [names.get(part.strip()) for part in text.split("+")] if text else []
        surplus = [policy for policy in chosen if policy in SURPLUS_POLICIES]
        need = [policy for policy in chosen if policy in NEED_POLICIES]
        if None in chosen or len(surplus) > 1 or len(need) > 1:
            raise ValueError(
                "one of give_only, sell_only, sell_if_none, or one of ask_only, buy_only, "
                "buy_if_none, or one of each joined by + (such as sell_only+ask_only)"
            )
        return cls(surplus[0] if surplus else None, need[0] if need else None)


def _residential(seed: int, home: int, choice: PolicyChoice) -> Profile:
    """The default: homes of different size, with and without storage, in rough balance."""

    def between(what: str, low: int, high: int) -> int:
        return draw_between(seed, f"profile_{what}", home, ONCE, low, high)

    average_wh = between("consumption", 400, 2_400)
    spread_wh = average_wh * between("spread_percent", 20, 60) // 100
    # A quarter of the homes has no storage, as in the assignment; the others 1 to 10 kWh.
    capacity_wh = 500 * between("capacity", 2, 20) if between("storage", 1, 4) > 1 else 0
    return Profile(
        home=home,
        production_wh=between("production", 500, 3_100),
        consumption_low_wh=average_wh - spread_wh,
        consumption_high_wh=average_wh + spread_wh,
        heating_wh_per_degree=between("heating", 10, 70),
        cooling_wh_per_degree=between("cooling", 10, 70),
        inverse_wh_degrees=0,
        capacity_wh=capacity_wh,
        reserve_wh=capacity_wh * between("reserve_percent", 10, 60) // 100,
        surplus_policy=choice.surplus or SURPLUS_POLICIES[between("surplus_policy", 0, 2)],
        need_policy=choice.need or _drawn_need_policy(between("need_policy", 1, 10)),
    )


def _drawn_need_policy(draw: int) -> Policy:
    """Six homes in ten ask first and buy the rest, two only buy, two only ask."""
    if draw <= 6:
        return Policy.BUY_IF_NONE
    return Policy.BUY_ONLY if draw <= 8 else Policy.ASK_ONLY


def _classic(seed: int, home: int, choice: PolicyChoice) -> Profile:
    """The published numbers of the second source (R17): averages U(1, 3) kWh, use = average + 1/T,
    no stock, every need asked for first and then bought."""
    average_wh = draw_between(seed, "profile_consumption", home, ONCE, 1_000, 3_000)
    drawn = SURPLUS_POLICIES[draw_between(seed, "profile_surplus_policy", home, ONCE, 0, 2)]
    return Profile(
        home=home,
        production_wh=draw_between(seed, "profile_production", home, ONCE, 1_000, 3_000),
        consumption_low_wh=average_wh,
        consumption_high_wh=average_wh,
        heating_wh_per_degree=0,
        cooling_wh_per_degree=0,
        inverse_wh_degrees=1_000,
        capacity_wh=0,
        reserve_wh=0,
        surplus_policy=choice.surplus or drawn,
        need_policy=choice.need or Policy.BUY_IF_NONE,
    )


PROFILES: Final[dict[str, Callable[[int, int, PolicyChoice], Profile]]] = {
    "residential": _residential,
    "classic": _classic,
}


def profile_of(name: str, seed: int, home: int, choice: PolicyChoice) -> Profile:
    """The profile of a home under a named way to make profiles."""
    return PROFILES[name](seed, home, choice)
