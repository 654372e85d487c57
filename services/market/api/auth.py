"""Writes need the bearer token; reads are open."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from services.market.api.problems import Problem

_bearer = HTTPBearer(
    auto_error=False, description="The token in ENERGYMARKET_API_TOKEN, or the one logged at start."
)


def require_token(
    request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> None:
    """Lets a request pass that carries the token; raises a 401 problem otherwise (RFC 6750)."""
    if given is None:
        raise Problem(
            401,
            "this call changes the market: send the header Authorization: Bearer <token>; the "
            "token is ENERGYMARKET_API_TOKEN, or the one that the market logged at its start",
            headers={"WWW-Authenticate": 'Bearer realm="energymarket"'},
        )
    token: str = request.app.state.token
    # In constant time, so that the time of an answer says nothing about the token.
    if not hmac.compare_digest(given.credentials.encode(), token.encode()):
        raise Problem(
            401,
            "the bearer token is not this market's",
            headers={"WWW-Authenticate": 'Bearer realm="energymarket", error="invalid_token"'},
        )


TOKEN_REQUIRED = Depends(require_token)
