"""Which faults befall a running system, in which order and at which moments: one integer decides.

A *point* is one fault of one process. Points of one *round* strike within moments of each other,
some of them before what the last one broke is whole again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

from services.market.checkpoints import STEPS

STEP: Final = "market killed at: "

KILLS: Final = (
    *(f"{STEP}{step}" for step in STEPS),
    *("market killed", "home killed", "weather killed", "external killed"),
    *("redis killed", "broker killed", "broker lost"),
)
"""Redis has forgotten all when it comes back; a broker that was killed nothing that it had
confirmed; one that was lost comes back without its data."""

PAUSES: Final = (
    *("market paused", "home paused", "weather paused", "external paused"),
    *("redis paused", "broker paused"),
)
"""SIGSTOP, and SIGCONT when whoever waits for the process has given it up."""

KINDS: Final = KILLS + PAUSES

_ROUND_SIZES: Final = (1, 1, 2, 3)
_LONG_PAUSES: Final = (
    ("home paused", "weather paused", "external paused"),
    ("market paused",),
    ("broker paused",),
)
"""These take longer than a heartbeat, so that a connection breaks. They have rounds of their own:
in a process that was killed a moment ago there is no connection to break yet. The first three do
not hinder each other and share theirs, for they cost nothing but time."""


@dataclass(frozen=True, slots=True)
class Point:
    """One fault: how long after the one before, in which home, or at which occurrence of its step
    and how long after that."""

    kind: str
    after_s: float
    home: int
    occurrence: int
    linger_s: float


Round = tuple[Point, ...]


def schedule(seed: int, counts: Mapping[str, int]) -> list[Round]:
    """Every kind as often as ``counts`` says, in rounds, shuffled by ``seed``."""
    luck = Random(seed)
    apart = {kind for together in _LONG_PAUSES for kind in together}
    kinds = [kind for kind in KINDS if kind not in apart for _ in range(counts[kind])]
    luck.shuffle(kinds)
    rounds = []
    while kinds:
        size = luck.choice(_ROUND_SIZES)
        rounds.append(kinds[:size])
        del kinds[:size]
    rounds += [
        [kind for kind in together if number < counts[kind]]
        for together in _LONG_PAUSES
        for number in range(max(counts[kind] for kind in together))
    ]
    luck.shuffle(rounds)
    return [tuple(_point(luck, kind) for kind in each) for each in rounds]


def _point(luck: Random, kind: str) -> Point:
    return Point(
        kind=kind,
        after_s=luck.choice((0.0, 0.005, 0.05, 0.3)) * luck.random(),
        home=luck.randrange(1_000),
        occurrence=luck.randint(1, 12),
        linger_s=luck.choice((0.0, 0.1)),
    )
