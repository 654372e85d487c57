"""Errors as RFC 9457 problems: one shape for all of them, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.market.api.contract import WITHOUT_HEAD, Contract
from services.market.api.refusals import JSON_TYPES, refusals
from services.market.errors import EpochLost, LedgerUnavailable, StandingBy

MEDIA_TYPE: Final = "application/problem+json"

_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}
"""As RFC 9110 has them; older Pythons have older ones."""


class Problem(Exception):
    """An answer other than what was asked for; ``detail`` is a sentence for people."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers, self.members = dict(headers or {}), members


def unavailable(detail: str, *, retry_after_s: int = 1, **members: Any) -> Problem:
    """A 503 that says when to ask again."""
    return Problem(503, detail, headers={"Retry-After": str(retry_after_s)}, **members)


def problem_response(problem: Problem, path: str) -> Response:
    """The problem as an HTTP answer; ``path`` is where it happened."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(problem.status) or HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": quote(path),
        **problem.members,
    }
    return Response(
        msgspec.json.encode(body),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def install(app: FastAPI, contract: Contract) -> None:
    """Has every error that a route raises answered as a problem."""

    def answer(request: Request, problem: Problem) -> Response:
        return problem_response(problem, request.url.path)

    def on_problem(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return answer(request, error)

    def on_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return answer(request, _of_http(request, error, contract))

    def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, _of_refused(request, error.errors(), contract))

    def on_ledger(request: Request, error: Exception) -> Response:
        return answer(request, unavailable(f"{error}; try again"))

    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(RequestValidationError, on_refused)
    app.add_exception_handler(LedgerUnavailable, on_ledger)
    app.add_exception_handler(EpochLost, on_ledger)
    app.add_exception_handler(StandingBy, on_ledger)


def _of_http(request: Request, error: HTTPException, contract: Contract) -> Problem:
    """What the framework refuses by itself: no such path, no such method, a body out of bounds."""
    path, headers = request.url.path, dict(error.headers or {})
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(404, f"there is nothing at {path}; /docs lists what there is")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        methods = contract.methods_at(path) or {"GET"}
        if "GET" in methods and path not in WITHOUT_HEAD:
            methods = methods | {"HEAD"}
        allowed = ", ".join(sorted(methods))
        return Problem(
            405, f"{path} takes {allowed}, not {request.method}", headers={"Allow": allowed}
        )
    if error.status_code == HTTPStatus.BAD_REQUEST:  # a body that the JSON reader gave up on
        unreadable = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": "unreadable"}}
        return _of_refused(request, [unreadable], contract)
    return Problem(error.status_code, str(error.detail), headers=headers)


def _of_refused(request: Request, errors: Sequence[Any], contract: Contract) -> Problem:
    found = refusals(request, errors, contract)
    if any(refusal["parameter"] == "body" for refusal in found) and not _is_json(request):
        given = request.headers.get("content-type", "none")
        return Problem(415, f"the content type is {given}; it must be {JSON_TYPES[0]}")
    first = found[0]["detail"]
    more = f" ({len(found) - 1} more in errors)" if len(found) > 1 else ""
    return Problem(422, f"{first}{more}", errors=found)


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() in JSON_TYPES
