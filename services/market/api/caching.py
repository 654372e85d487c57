"""Answers that never change once they are true: they carry a tag, and need not be sent twice."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request, Response
from pydantic import BaseModel


def settled_answer(request: Request, tag: str, answer: Callable[[], BaseModel]) -> Response:
    """The answer with its tag, or 304 without making it when the reader has it already.

    ``tag`` must name the run: another ledger may come to live at the same address, which is why
    a reader is told to ask each time instead of trusting its copy for ever.
    """
    etag = f'"{tag}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    known = request.headers.get("if-none-match", "")
    if known == "*" or etag in (part.strip().removeprefix("W/") for part in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(answer().model_dump_json(), media_type="application/json", headers=headers)
