"""What a load test came to: totals, seconds, and where the time of a tick went."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from energymarket import __version__
from lab.load.latencies import Latencies

FORMAT: Final = 1
"""Of the JSON; raised when a reader of it would have to change."""

PERCENTILES: Final = (50.0, 90.0, 99.0, 99.9, 100.0)


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a run: rates in it, latencies of what was settled in it, mean phases."""

    at_s: float
    ticks_per_s: float
    orders_per_s: float
    p50_ms: float
    p99_ms: float
    phases_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """A share of a mean tick."""

    name: str
    where: str
    ms: float


@dataclass(frozen=True, slots=True)
class Result:
    """``plan`` as ``LoadPlan.facts`` has it. ``ended`` says in words why it ended."""

    plan: Mapping[str, Any]
    ended: str
    elapsed_s: float
    ticks: int
    orders: int
    absent: int
    refused: int
    repeated: int
    unanswered: int
    reconnects: int
    messages: int
    latencies: Latencies
    seconds: Sequence[Second]
    parts: Sequence[Part]
    tool_cores: float
    market: Mapping[str, Any]
    homes_left: int
    began_at: str = ""

    @property
    def orders_per_s(self) -> float:
        return self.orders / self.elapsed_s if self.elapsed_s else 0.0

    @property
    def ticks_per_s(self) -> float:
        return self.ticks / self.elapsed_s if self.elapsed_s else 0.0

    def percentiles_ms(self) -> dict[str, float]:
        """The latencies that people ask for, by name."""
        found = self.latencies.percentiles_ms(PERCENTILES)
        return {f"p{percent:g}": ms for percent, ms in zip(PERCENTILES, found, strict=True)}

    @property
    def p99_ms(self) -> float:
        return self.latencies.percentiles_ms([99.0])[0]

    def as_json(self) -> dict[str, Any]:
        """Plain data for ``json.dump``; what ``--baseline`` reads again."""
        return {
            "format": FORMAT,
            "plan": dict(self.plan),
            "began_at": self.began_at,
            "ended": self.ended,
            "elapsed_s": round(self.elapsed_s, 3),
            "ticks": self.ticks,
            "orders": self.orders,
            "ticks_per_s": round(self.ticks_per_s, 3),
            "orders_per_s": round(self.orders_per_s, 3),
            "latency_ms": {"mean": round(self.latencies.mean_ms, 3), **self.percentiles_ms()},
            "latency_hdr_v2_us": self.latencies.encoded(),
            "absent": self.absent,
            "refused": self.refused,
            "repeated": self.repeated,
            "unanswered": self.unanswered,
            "reconnects": self.reconnects,
            "messages": self.messages,
            "parts": [
                {"name": part.name, "where": part.where, "ms": round(part.ms, 4)}
                for part in self.parts
            ],
            "seconds": [
                {
                    "at_s": round(each.at_s, 3),
                    "ticks_per_s": round(each.ticks_per_s, 3),
                    "orders_per_s": round(each.orders_per_s, 3),
                    "p50_ms": each.p50_ms,
                    "p99_ms": each.p99_ms,
                    "phases_ms": {name: round(ms, 4) for name, ms in each.phases_ms.items()},
                }
                for each in self.seconds
            ],
            "tool_cores": round(self.tool_cores, 3),
            "homes_left": self.homes_left,
            "market": dict(self.market),
            "machine": machine(),
        }


def machine() -> dict[str, Any]:
    """What the load came from."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "energymarket": __version__,
    }


def parts_of_a_tick(
    tick_ms: float, phases_ms: Mapping[str, float], fleets_ms: Mapping[str, float]
) -> list[Part]:
    """Divides a mean tick. ``fleets_ms`` has ``compute``, ``encode`` and ``decode`` of the busiest
    worker, and ``held``, its wait for the moment in open mode. Whatever of the market's wait for
    orders nobody was at work in is the way there and back.

    Empty when the market's phases are not known.
    """
    if not {"collect", "settle", "commit", "answer"} <= set(phases_ms):
        return []
    decode, take, encode = (phases_ms.get(name, 0.0) for name in ("decode", "take", "encode"))
    worked = decode + take + sum(fleets_ms.values())
    whole = sum(phases_ms[name] for name in ("collect", "settle", "commit", "answer"))
    held = fleets_ms.get("held", 0.0)
    return [
        *([Part("wait for the moment", "the pace", held)] if held else []),
        Part("home compute", "load", fleets_ms.get("compute", 0.0)),
        Part("encode orders", "load", fleets_ms.get("encode", 0.0)),
        Part("transport", "connections, broker", max(phases_ms["collect"] - worked, 0.0)),
        Part("decode orders", "market", decode),
        Part("take orders", "market", take),
        Part("settle", "market", phases_ms["settle"]),
        Part("commit", "market", phases_ms["commit"]),
        Part("make receipts", "market", max(phases_ms["answer"] - encode, 0.0)),
        Part("encode receipts", "market", min(encode, phases_ms["answer"])),
        Part("decode receipts", "load", fleets_ms.get("decode", 0.0)),
        Part("open and rest", "market", max(tick_ms - whole, 0.0)),
    ]
