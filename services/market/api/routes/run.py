"""``/run`` and ``/audit``."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from fastapi import APIRouter

from energymarket import __version__
from services.market.api.context import Context
from services.market.api.openapi import problems
from services.market.api.schemas.run import Audit, Invariant, Run

router = APIRouter(tags=["run"])

_PACKAGES: Final = ("fastapi", "uvicorn", "pika", "redis", "msgspec", "sqlalchemy")


@router.get("/run", summary="What runs here", responses=problems())
async def run(context: Context) -> Run:
    """The run: its identity, how far it is, how it is set up."""
    view = context.view
    return Run(
        run=view.run,
        role=view.role,
        seed=view.seed,
        epoch=view.epoch,
        price_model=view.price_model,
        tick=view.last.tick if view.last else 0,
        head_hash=view.head_hash,
        homes=view.homes,
        finished=view.finished,
        settings=dict(context.settings),
        versions=_versions(),
    )


@cache
def _versions() -> dict[str, str]:
    """Versions of what the market is made of; a package that is not there is left out."""
    found = {"python": platform.python_version(), "energymarket": __version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@router.get("/audit", summary="The invariants", response_model=Audit, responses=problems(503))
def audit(context: Context) -> Any:
    """How far the run is from each invariant: 0, or `ok` is false.

    The residuals are sums over all ticks since this process began to settle, from `since_tick` on.
    Messages that came late or were refused since then break none.
    `replay` says how far the ledger has been read back.
    """
    view = context.view
    tick = view.last.tick if view.last else 0
    since = context.history.epoch_began(view.epoch) or 1
    sums = view.residuals
    replayed = context.replayed(view)
    faults = int(replayed is not None and replayed.fault is not None)
    return Audit(
        ok=sums.ok and not faults,
        tick=tick,
        head_hash=view.head_hash,
        epoch=view.epoch,
        since_tick=since,
        ticks_checked=max(tick - since + 1, 0),
        energy_residual_wh=sums.energy_wh,
        gifts_residual_wh=sums.gifts_wh,
        money_residual_neur=sums.money_neur,
        bounds_violations=sums.bounds,
        outcomes_violations=sums.outcomes,
        late_messages=context.market.metrics.late_messages,
        refused_messages=context.market.metrics.refused_messages,
        replay=replayed,
        invariants=[
            _invariant("energy", sums.energy_wh, "Wh", _ENERGY),
            _invariant("bounds", sums.bounds, "homes", _BOUNDS),
            _invariant("gifts", sums.gifts_wh, "Wh", "given = received"),
            _invariant("money", sums.money_neur, "nEUR", _MONEY),
            _invariant("outcomes", sums.outcomes, "homes", _OUTCOMES),
            _invariant("replay", faults, "faults", _REPLAY),
        ],
    )


_ENERGY: Final = (
    "stock' = stock + produced + received + bought + unserved - consumed - given - sold - spilled"
)
_BOUNDS: Final = "no term is below zero, and no stock is beyond its capacity"
_MONEY: Final = "the money of all homes and of the market sums to 0"
_OUTCOMES: Final = "every home of the roster has one outcome a tick: a receipt, or its absence"
_REPLAY: Final = (
    "epochs and ticks only grow, the hash chain holds, each tick settles and prices as recorded, "
    "and the accounts are those of the replay"
)


def _invariant(name: str, residual: int, unit: str, rule: str) -> Invariant:
    return Invariant(name=name, residual=residual, unit=unit, rule=rule)
