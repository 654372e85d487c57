"""What may be concluded from a broker's silence; pure, no driver and no clock.

The link looks once in a while: that is a beat. Beats are counted, and time is not measured, for a
process that was frozen wakes up to a clock that is far ahead and to answers that it has not read.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

BEAT_S: Final = 1.0
ASK_EVERY_BEATS: Final = 3
MOST_SILENT_BEATS: Final = 7
"""Long enough for a question and at least four beats of patience after it, so that a broker that is
merely busy is not left; short enough for ticks to go on 10 s after a connection was lost unseen."""


class Finding(Enum):
    """What to do at a beat."""

    NOTHING = "nothing"
    ASK = "ask"
    GIVE_UP = "give up"


class Pulse:
    """Of one connection, from the moment it is open."""

    def __init__(self) -> None:
        self._beats = 0
        self._silent_beats = 0
        self._received_bytes = 0
        self._blocked = False

    def blocked(self) -> None:
        """The broker says that it has stopped reading: it will not hear a question."""
        self._blocked = True

    def unblocked(self) -> None:
        """It reads again."""
        self._blocked = False
        self._silent_beats = 0

    def beat(self, received_bytes: int) -> Finding:
        """``received_bytes`` is how many the connection has received since it was made."""
        self._beats += 1
        heard = received_bytes != self._received_bytes
        self._received_bytes = received_bytes
        if self._blocked:
            return Finding.NOTHING
        self._silent_beats = 0 if heard else self._silent_beats + 1
        if self._silent_beats >= MOST_SILENT_BEATS:
            return Finding.GIVE_UP
        return Finding.NOTHING if self._beats % ASK_EVERY_BEATS else Finding.ASK
