"""``/livez``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.market.api.context import Context
from services.market.api.openapi import problems
from services.market.api.problems import unavailable
from services.market.api.schemas.run import Alive, Ready

router = APIRouter(tags=["operation"])


@router.get("/livez", summary="Is the process alive?", responses=problems())
async def livez() -> Alive:
    """Alive whenever this answers; it depends on nothing else."""
    return Alive()


@router.get("/readyz", summary="Does the market reach all it needs?", responses=problems(503))
async def readyz(context: Context) -> Ready:
    """Ready when broker, Redis (the weather store) and ledger answer and the market's own thread
    is at work; else 503, which names what is not.

    A market that only waits for homes, weather or external events is ready. One that stands by
    needs the ledger alone.
    """
    view = context.view
    checks = {"ledger": view.ledger_writable, "market": context.market_acts}
    if not view.standing_by:
        checks |= {"broker": view.broker_connected, "redis": view.store_answers}
    waiting_for = list(view.waiting_for)
    failing = [name for name, works in checks.items() if not works]
    if failing:
        raise unavailable(
            f"not ready: {', '.join(failing)} {'does' if len(failing) == 1 else 'do'} not answer",
            checks=checks,
            waiting_for=waiting_for,
        )
    return Ready(role=view.role, checks=checks, waiting_for=waiting_for)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=Response,
    responses=problems()
    | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "metrics"}},
)
def metrics(context: Context) -> Response:
    """The market's numbers and the API's, in Prometheus' text format."""
    text = generate_latest(context.market.metrics.registry)
    text += generate_latest(context.metrics.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
