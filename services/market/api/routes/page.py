"""The page, and the documentation page; both without any request to anywhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from fastapi.responses import FileResponse

from services.market.api.guard import POLICY

STATIC: Final = Path(__file__).parent.parent / "static"
"""The files of both pages, as they are sent."""

router = APIRouter()

_PAGE_HEADERS: Final = {"Cache-Control": "no-cache"}
# Swagger UI writes style attributes into the page; everything else stays as strict.
_DOCS_HEADERS: Final = {
    **_PAGE_HEADERS,
    "Content-Security-Policy": f"{POLICY}; style-src 'self' 'unsafe-inline'",
}


@router.get("/")
async def index() -> FileResponse:
    """The page."""
    return FileResponse(STATIC / "index.html", headers=_PAGE_HEADERS)


@router.get("/docs")
async def docs() -> FileResponse:
    """The documentation of the API."""
    return FileResponse(STATIC / "docs.html", headers=_DOCS_HEADERS)
