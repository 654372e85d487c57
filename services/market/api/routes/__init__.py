"""The routes, one module per resource. A further resource is one more module in ``ROUTERS``."""

from services.market.api.routes import (
    clock,
    flows,
    homes,
    ledger,
    page,
    prices,
    probes,
    run,
    stream,
    trades,
    world,
)

ROUTERS = (
    prices.router,
    stream.router,
    homes.router,
    trades.router,
    flows.router,
    world.router,
    run.router,
    clock.router,
    ledger.router,
    probes.router,
)

__all__ = ["ROUTERS", "page"]
