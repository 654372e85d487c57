"""What a reader wants: pages, windows of ticks, media types. All of it checked and bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Query

from services.market.api.refusals import conflict

FIRST_TICK: Final = 1
MAX_TICK: Final = 2**53

FromTick = Annotated[int | None, Query(ge=0, le=MAX_TICK, description="first tick")]
ToTick = Annotated[
    int | None,
    Query(ge=0, le=MAX_TICK, description="tick after the last; none: all that are settled"),
]
WindowCursor = Annotated[
    str | None,
    Query(
        pattern=r"^[0-9]{1,15}-[0-9]{1,15}$",
        description="`next_cursor` of the page before; replaces `from_tick` and `to_tick`",
    ),
]


@dataclass(frozen=True, slots=True)
class Window:
    """The ticks ``[from_tick, to_tick)``."""

    from_tick: int
    to_tick: int

    @property
    def cursor(self) -> str:
        """The window as a cursor."""
        return f"{self.from_tick}-{self.to_tick}"

    def held(self, oldest: int, newest: int) -> str:
        """Which ticks of it a ledger holds that keeps those from ``oldest`` to ``newest``: two
        answers about one window are the same when these are."""
        return f"{max(self.from_tick, oldest)}-{min(self.to_tick, newest + 1)}"


def window(
    *, from_tick: int | None, to_tick: int | None, cursor: str | None, newest: int, limit: int
) -> Window:
    """The window that is asked for, resolved against the newest settled tick.

    Without ``from_tick`` it holds the newest ``limit`` ticks before ``to_tick``.
    """
    if cursor is not None:
        start, _, end = cursor.partition("-")
        return Window(int(start), int(end))
    if to_tick is None:
        # Who asks for what is yet to come gets an empty page.
        to_tick = max(newest + 1, from_tick or 0)
    if from_tick is None:
        return Window(min(max(FIRST_TICK, to_tick - limit), to_tick), to_tick)
    if from_tick > to_tick:
        raise conflict("from_tick", from_tick, f"at most to_tick, which is {to_tick}")
    return Window(from_tick, to_tick)


def prefers_csv(accept: str) -> bool:
    """True when an ``Accept`` header ranks text/csv above JSON."""
    ranks = {"text/csv": 0.0, "application/json": 0.0}
    for part in accept.lower().split(","):
        media, *parameters = (piece.strip() for piece in part.split(";"))
        if media in ranks:
            ranks[media] = _quality(parameters)
    return ranks["text/csv"] > ranks["application/json"]


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
