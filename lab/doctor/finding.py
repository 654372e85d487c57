"""What a look at something found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``sentence`` of what is ``wrong`` says how to mend it; a ``note`` stops nothing."""

    about: str
    verdict: Verdict
    sentence: str


def ok(about: str, sentence: str) -> Finding:
    return Finding(about, "ok", sentence)


def note(about: str, sentence: str) -> Finding:
    return Finding(about, "note", sentence)


def wrong(about: str, sentence: str) -> Finding:
    return Finding(about, "wrong", sentence)
