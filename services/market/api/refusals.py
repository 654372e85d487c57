"""Wrong requests in words: the parameter, its value, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError

from services.market.api.contract import Contract, Schema, in_words

JSON_TYPES: Final = ("application/json",)
_LONGEST_VALUE = 80
_WHOLE_BODY = 1


def refusals(request: Request, errors: Sequence[Any], contract: Contract) -> list[dict[str, str]]:
    """One entry per wrong parameter: ``parameter``, ``in``, ``value``, ``allowed``, ``detail``."""
    path, method = request.url.path, request.method
    taken = contract.parameters(path, method)
    members = contract.body(path, method)
    found = []
    for error in errors:
        where, *rest = error["loc"]
        if where == "body" and (not rest or error["type"] == "json_invalid"):
            found.append(_of_body(error, members))
        else:
            name = str(rest[0])
            known = members if where == "body" else _named(taken, str(where))
            found.append(_of_parameter(error, str(where), name, known))
    return found


def _of_body(error: Any, members: dict[str, Schema]) -> dict[str, str]:
    allowed = f"a JSON object with {', '.join(members)}"
    why = error.get("ctx", {}).get("error") if error["type"] == "json_invalid" else None
    value = f"not JSON ({why})" if why else _shown(error.get("input"))
    return {
        "parameter": "body",
        "in": "body",
        "value": value,
        "allowed": allowed,
        "detail": f"the body is {value}; it must be {allowed}",
    }


def _of_parameter(error: Any, where: str, name: str, known: dict[str, Schema]) -> dict[str, str]:
    value = "missing" if error["type"] == "missing" else _shown(error.get("input"))
    if error["type"] == "extra_forbidden":
        allowed = f"one of {', '.join(known)}" if known else "none"
        detail = f"{name} is no parameter of this call; it takes {', '.join(known) or 'none'}"
    elif error["type"] == "conflict":
        allowed = str(error["ctx"]["allowed"])
        detail = f"{name} is {value}; it must be {allowed}"
    else:
        allowed = in_words(known[name]) if name in known else str(error["msg"])
        detail = f"{name} is {value}; it must be {allowed}"
    return {"parameter": name, "in": where, "value": value, "allowed": allowed, "detail": detail}


def _named(taken: dict[tuple[str, str], Schema], where: str) -> dict[str, Schema]:
    return {name: schema for (place, name), schema in taken.items() if place == where}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


def conflict(name: str, value: Any, allowed: str) -> RequestValidationError:
    """A query parameter that is right by itself but not beside the others."""
    return RequestValidationError(
        [
            {
                "type": "conflict",
                "loc": ("query", name),
                "msg": allowed,
                "input": value,
                "ctx": {"allowed": allowed},
            }
        ]
    )


def refuse_unknown(request: Request) -> None:
    """Refuses query parameters that the call does not have: a misspelt one must not be ignored."""
    errors = list(_unknown(request))
    if errors:
        raise RequestValidationError(errors)


def _unknown(request: Request) -> Iterator[dict[str, Any]]:
    if not request.url.query:
        return
    contract: Contract = request.app.state.contract
    known = _named(contract.parameters(request.url.path, request.method), "query")
    for name, value in request.query_params.multi_items():
        if name not in known:
            yield {"type": "extra_forbidden", "loc": ("query", name), "msg": "", "input": value}
