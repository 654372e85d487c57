"""Answers that need not be sent twice: they carry a tag, which changes when they do."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Response
from pydantic import BaseModel


def tagged_answer(
    request: Request, tag: str, answer: Callable[[], Response], *, vary: str = ""
) -> Response:
    """The answer with its tag, or 304 without making it when the reader has it already.

    ``tag`` must name all that the answer depends on, and the run: another ledger may come to live
    at the same address, which is why a reader is told to ask each time instead of trusting its
    copy for ever. ``vary`` names the header that the form of the answer depends on.
    """
    etag = f'"{tag}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"} | ({"Vary": vary} if vary else {})
    known = request.headers.get("if-none-match", "")
    if known == "*" or etag in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    made = answer()
    made.headers.update(headers)
    return made


def settled_answer(request: Request, tag: str, answer: Callable[[], BaseModel]) -> Response:
    """The same for an answer that never changes once it is true."""
    return tagged_answer(request, tag, lambda: json_answer(answer()))


def json_answer(answer: BaseModel) -> Response:
    """An answer as JSON, without a second look at what our own code has made."""
    return Response(answer.model_dump_json(), media_type="application/json")
