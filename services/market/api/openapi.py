"""The OpenAPI document: what the framework cannot know by itself."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from fastapi import FastAPI

from services.market.api.problems import MEDIA_TYPE
from services.market.api.schemas.base import PROBLEM_SCHEMA

Responses: TypeAlias = dict[int | str, dict[str, Any]]

DESCRIPTION: Final = """
A tick is one trading period, an hour of the simulated world. Homes give, sell and buy energy in it;
at its close the price of the next tick is made, with its terms.

* **Units** stand last in every name. Beside kWh, EUR and EUR/kWh for people stand the market's own
  integers where exactness matters: Wh, nano-euro (`_neur`), nano-euro per Wh (`_neur_per_wh`).
* **Intervals** of ticks are half-open, `[from_tick, to_tick)`.
* **Pages**: `next_cursor` is null on the last; else give it back as `cursor`, which then takes the
  place of the parameters that chose the interval. A cursor is opaque.
* **Errors** are problems as RFC 9457 has them; one for a wrong parameter names it, its value and
  what is allowed.
* **Writes**, and the whole ledger, need `Authorization: Bearer <token>`.
* **Tags**: who sends an answer's `ETag` back as `If-None-Match` gets 304 until the answer changes.
"""

TAGS: Final = [
    {"name": "prices", "description": "The price, its history, its terms."},
    {"name": "homes", "description": "Homes, their receipts, who traded with whom."},
    {"name": "world", "description": "Weather and external events."},
    {"name": "run", "description": "What runs here, whether it is right, and its clock."},
    {"name": "operation", "description": "For orchestrators and Prometheus."},
]

_WHY: Final = {
    401: "The bearer token is missing or wrong.",
    404: "There is no such thing, or not yet.",
    409: "The run is over, or the clock is not paused.",
    413: "The body is too large.",
    415: "The body is not said to be JSON.",
    422: "A parameter is wrong; `errors` names each.",
    500: "Something is wrong with the market.",
    503: "The market cannot answer now; `Retry-After` says when to ask again.",
}
UNCHANGED: Final[Responses] = {
    304: {"description": "The answer has the tag in `If-None-Match`: it is the one that you have."}
}
_REF: Final = {"$ref": "#/components/schemas/Problem"}


def problems(*statuses: int) -> Responses:
    """The ``responses`` of a route that may answer with these, and with what any route may."""
    return {
        status: {"description": _WHY[status], "content": {MEDIA_TYPE: {"schema": _REF}}}
        for status in sorted({*statuses, 422, 500, 503})
    }


def complete(app: FastAPI) -> None:
    """Has the document of ``app`` hold the schema that all problems refer to."""
    made_by_framework = app.openapi

    def completed() -> dict[str, Any]:
        document = made_by_framework()
        document["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
        return document

    app.openapi = completed  # type: ignore[method-assign]  # the documented way to extend it
