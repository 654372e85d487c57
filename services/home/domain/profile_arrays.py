"""The profiles of many homes at once: those of ``profile``, home by home, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from energymarket.column_arrays import Numbers, view
from energymarket.policies import SURPLUS_POLICIES, Policy
from energymarket.randomness_arrays import draws_between
from services.home.domain.profile import ONCE, PolicyChoice


@dataclass(frozen=True, slots=True)
class Profiles:
    """What a ``Profile`` says, for each of many homes."""

    home: Numbers
    production_wh: Numbers
    consumption_low_wh: Numbers
    consumption_high_wh: Numbers
    heating_wh_per_degree: Numbers
    cooling_wh_per_degree: Numbers
    inverse_wh_degrees: int
    """The same for all homes of a kind."""
    capacity_wh: Numbers
    reserve_wh: Numbers
    surplus_policy: Numbers
    need_policy: Numbers


_SURPLUS: Final = np.array(SURPLUS_POLICIES, dtype=np.int64)


def _residential(seed: int, home: Numbers, choice: PolicyChoice) -> Profiles:
    def between(what: str, low: int, high: int) -> Numbers:
        return draws_between(seed, f"profile_{what}", home, ONCE, low, high)

    average_wh = between("consumption", 400, 2_400)
    spread_wh = average_wh * between("spread_percent", 20, 60) // 100
    has_storage = between("storage", 1, 4) > 1
    capacity_wh = np.where(has_storage, 500 * between("capacity", 2, 20), 0)
    need = between("need_policy", 1, 10)
    need_policy = np.where(need <= 8, int(Policy.BUY_ONLY), int(Policy.ASK_ONLY))
    need_policy[need <= 6] = int(Policy.BUY_IF_NONE)
    return Profiles(
        home=home,
        production_wh=between("production", 500, 3_100),
        consumption_low_wh=average_wh - spread_wh,
        consumption_high_wh=average_wh + spread_wh,
        heating_wh_per_degree=between("heating", 10, 70),
        cooling_wh_per_degree=between("cooling", 10, 70),
        inverse_wh_degrees=0,
        capacity_wh=capacity_wh,
        reserve_wh=capacity_wh * between("reserve_percent", 10, 60) // 100,
        surplus_policy=_chosen(choice.surplus, _SURPLUS[between("surplus_policy", 0, 2)]),
        need_policy=_chosen(choice.need, need_policy),
    )


def _classic(seed: int, home: Numbers, choice: PolicyChoice) -> Profiles:
    def between(what: str, low: int, high: int) -> Numbers:
        return draws_between(seed, f"profile_{what}", home, ONCE, low, high)

    average_wh = between("consumption", 1_000, 3_000)
    nothing = np.zeros(len(home), dtype=np.int64)
    return Profiles(
        home=home,
        production_wh=between("production", 1_000, 3_000),
        consumption_low_wh=average_wh,
        consumption_high_wh=average_wh,
        heating_wh_per_degree=nothing,
        cooling_wh_per_degree=nothing,
        inverse_wh_degrees=1_000,
        capacity_wh=nothing,
        reserve_wh=nothing,
        surplus_policy=_chosen(choice.surplus, _SURPLUS[between("surplus_policy", 0, 2)]),
        need_policy=_chosen(choice.need or Policy.BUY_IF_NONE, nothing),
    )


def _chosen(policy: Policy | None, drawn: Numbers) -> Numbers:
    return drawn if policy is None else np.full(len(drawn), int(policy), dtype=np.int64)


PROFILES: Final[dict[str, Callable[[int, Numbers, PolicyChoice], Profiles]]] = {
    "residential": _residential,
    "classic": _classic,
}


def profiles_of(name: str, seed: int, homes: Sequence[int], choice: PolicyChoice) -> Profiles:
    """``profile.profile_of`` for each of the homes."""
    return PROFILES[name](seed, view(homes), choice)
