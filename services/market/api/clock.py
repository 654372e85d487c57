"""The clock as people read it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from services.market.api.schemas.clock import Clock
from services.market.pacing import ClockFace
from services.market.view import View


def clock_of(view: View, face: ClockFace) -> Clock:
    """The clock; ``face`` is that of the view, or a newer one."""
    times = face.times
    counted = [time for time in times if time.took_s is not None]
    elapsed_s = sum(time.took_s or 0.0 for time in counted)
    work_ms = sorted(time.work_s * 1_000 for time in times)
    orders = sum(time.orders for time in counted)
    return Clock(
        state="finished" if view.finished else "paused" if face.paused else "running",
        pace_s=face.pace_s,
        tick=view.opening.tick if view.opening else 0,
        steps_left=face.steps_left,
        ticks_per_s=_rate(len(counted), elapsed_s),
        orders_per_s=_rate(orders, elapsed_s),
        tick_ms_p50=_percentile(work_ms, 0.5),
        tick_ms_p99=_percentile(work_ms, 0.99),
        window_ticks=len(times),
    )


def _rate(count: int, elapsed_s: float) -> float | None:
    return round(count / elapsed_s, 3) if elapsed_s > 0 else None


def _percentile(ascending: Sequence[float], part: float) -> float | None:
    """The least of the values that ``part`` of them do not exceed (nearest rank)."""
    if not ascending:
        return None
    return round(ascending[math.ceil(part * len(ascending)) - 1], 3)
