"""One run of the peer ASSUME, by its own Python: ``python bench/assume_world.py UNITS HOURS``.

A pay-as-clear market that opens every hour for the next one, half of the units supply and half
demand, each with one naive bid an hour; two operators, no database, no files. That is as light as
it gets there. Prints one line of JSON (``bench.alone`` reads it): bids cleared,
seconds, memory, versions.

ASSUME (https://assume.readthedocs.io) is under AGPL-3.0; nothing of it is part of this project.
This file is written against its documented interface, imports nothing of ours, and needs to be run
where ``assume-framework`` is installed (``bench.assume_peer`` sees to that).
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

_BEGIN = datetime(2030, 1, 1)  # noqa: DTZ001 - ASSUME computes with naive times
_MARKET = "hourly"
_PLANT_MW, _NEED_MW = 10.0, 6.0
_HIGHEST_PRICE = 3_000.0
_SIDES = ("supply", "demand")


def main(units: int, hours: int) -> None:
    """Runs it and prints what it came to."""
    world, bids = _world(units, hours)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    world.run()
    figures = {
        "settled": sum(bids),
        "wall_s": time.perf_counter() - wall_s,
        "cpu_s": time.process_time() - cpu_s,
        "peak_mib": _peak_mib(),
        "versions": {
            "python": platform.python_version(),
            **{
                name: importlib.metadata.version(name)
                for name in ("assume-framework", "mango-agents", "pandas", "numpy")
            },
        },
    }
    print(json.dumps(figures))


def _peak_mib() -> float | None:
    """The most that this process has held; None where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def _world(units: int, hours: int) -> tuple[Any, list[int]]:
    """A world that is ready to run, and the bids of each clearing so far."""
    import pandas as pd  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: PLC0415
    from assume import World  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415

    end = _BEGIN + timedelta(hours=hours)
    world = World(log_level="ERROR")
    bids: list[int] = []
    world.clearing_mechanisms["counted"] = _counted(bids)
    # Deliveries and forecasts reach a little beyond the last opening.
    index = pd.date_range(_BEGIN, end + timedelta(days=1), freq="h")
    world.setup(start=_BEGIN, end=end, simulation_id="bench", save_frequency_hours=None)
    world.add_market_operator("operator")
    world.add_market("operator", _market(end))
    for side in _SIDES:
        world.add_unit_operator(side)
    for number in range(units):
        _add_unit(world, number, index)
    return world, bids


def _counted(bids: list[int]) -> Any:
    """The pay-as-clear market, which notes how many bids each clearing had."""
    from assume.markets.clearing_algorithms import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        PayAsClearRole,
    )

    class Counted(PayAsClearRole):  # type: ignore[misc]
        def clear(self, orderbook: Any, market_products: Any) -> Any:
            bids.append(len(orderbook))
            return super().clear(orderbook, market_products)

    return Counted


def _market(end: datetime) -> Any:
    """Open for an hour, every hour; trades the hour that follows."""
    from assume.common.market_objects import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        MarketConfig,
        MarketProduct,
    )
    from dateutil import rrule  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
    from dateutil.relativedelta import (  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415
        relativedelta,
    )

    hour = timedelta(hours=1)
    return MarketConfig(
        market_id=_MARKET,
        opening_hours=rrule.rrule(rrule.HOURLY, dtstart=_BEGIN, until=end - hour),
        opening_duration=hour,
        market_mechanism="counted",
        market_products=[MarketProduct(relativedelta(hours=1), 1, relativedelta(hours=1))],
    )


def _add_unit(world: Any, number: int, index: Any) -> None:
    """Even numbers supply, each at a cost of its own; odd ones demand at nearly any price."""
    from assume.common.forecaster import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
        DemandForecaster,
        PowerplantForecaster,
    )

    side = _SIDES[number % 2]
    if side == "supply":
        unit_type, strategy = "power_plant", "powerplant_energy_naive"
        forecaster = PowerplantForecaster(index, fuel_prices={"others": number % 97 / 10})
        params: dict[str, Any] = {"max_power": _PLANT_MW}
    else:
        unit_type, strategy = "demand", "demand_energy_naive"
        forecaster = DemandForecaster(index, demand=-_NEED_MW)
        params = {"max_power": -_NEED_MW, "price": _HIGHEST_PRICE}
    params |= {
        "min_power": 0.0,
        "technology": "home",
        "bidding_strategies": {_MARKET: strategy},
    }
    world.add_unit(f"unit-{number}", unit_type, side, params, forecaster)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
