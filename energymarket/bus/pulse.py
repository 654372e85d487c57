"""What may be concluded from a broker's silence; pure, no driver and no clock.

The link looks once in a while: that is a beat. Beats are counted, and time is not measured, for a
process that was frozen wakes up to a clock that is far ahead and to answers that it has not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

BEAT_S: Final = 1.0
ASK_EVERY_BEATS: Final = 3
MOST_SILENT_BEATS: Final = 7
"""Long enough for a question and at least four beats of patience after it, so that a broker that is
merely busy is not left; short enough for ticks to go on 10 s after a connection was lost unseen."""

MOST_UNSERVED_BEATS: Final = 10
"""How long the broker may take to let us consume a queue: after its start it reads them first."""


class Finding(Enum):
    """What to do at a beat."""

    NOTHING = "nothing"
    ASK = "ask"
    GIVE_UP = "give up"


class Pulse:
    """Of one connection, from the moment it is open."""

    def __init__(self) -> None:
        self.why = ""
        """Why it was given up; empty if it was not."""
        self._unserved: list[str] = []
        self._unserved_beats = 0
        self._beats = 0
        self._silent_beats = 0
        self._received_bytes = 0
        self._unanswered = False
        self._blocked = False

    @property
    def unserved(self) -> str:
        """The first queue whose consumption the broker has yet to confirm; empty if there is none.

        It answers nothing else on the channel meanwhile.
        """
        return self._unserved[0] if self._unserved else ""

    def consume(self, queues: Iterable[str]) -> None:
        """The broker was asked for the messages of these queues."""
        self._unserved = list(queues)

    def serves(self, queue: str) -> None:
        """It has confirmed that."""
        self._unserved.remove(queue)

    def answered(self) -> None:
        """It has answered the question that a beat had put."""
        self._unanswered = False

    def blocked(self) -> None:
        """It says that it has stopped reading: it will not hear a question."""
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
        if self._unserved:
            return self._await_service()
        self._silent_beats = 0 if heard else self._silent_beats + 1
        if self._silent_beats >= MOST_SILENT_BEATS:
            self.why = "no word from the broker any more"
            return Finding.GIVE_UP
        if self._unanswered or self._beats % ASK_EVERY_BEATS:
            return Finding.NOTHING
        self._unanswered = True
        return Finding.ASK

    def _await_service(self) -> Finding:
        self._unserved_beats += 1
        if self._unserved_beats < MOST_UNSERVED_BEATS:
            return Finding.NOTHING
        self.why = f"the broker does not serve {self.unserved}"
        return Finding.GIVE_UP
