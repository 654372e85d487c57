"""Which of several markets on one ledger settles, and how another one takes over from it."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Protocol

from energymarket.clock import Clock
from energymarket.telemetry import Log
from services.market.errors import LedgerUnavailable
from services.market.ledger import Ledger

RENEW_S: Final = 1.0
"""How often the market that settles gives a sign of life and looks whether it still may."""

_LONGEST_LOOK_S: Final = 2 * RENEW_S


class Lock(Protocol):
    """What ``lock.LedgerLock`` offers, which also says what each of these does."""

    def begin_election(self) -> bool: ...

    def end_election(self) -> None: ...

    def is_free(self, epoch: int) -> bool: ...

    def take(self, epoch: int) -> None: ...

    def release(self) -> None: ...

    def show_life(self) -> None: ...

    def sign_of_life(self) -> int: ...


class EpochWatch:
    """Looks once a second whether the epoch is still ours, and so first of all after a sleep.

    A market that was superseded would find out when it next writes. But until then it would take
    from the shared queue what the other one waits for, and answer with old news.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._look_at = 0.0

    def look(self, now: float) -> bool:
        """To be called before anything is said to anybody; True when it was time to look.

        Raises ``EpochLost``.
        """
        if now < self._look_at:
            return False
        self._look_at = now + RENEW_S
        with suppress(LedgerUnavailable):  # then nothing can be settled, and nothing is lost
            self._ledger.check_epoch()
        return True


class Leadership:
    """The right to settle on a ledger: had by one market at a time, asked for by the others."""

    def __init__(
        self, ledger: Ledger, lock: Lock, clock: Clock, log: Log, *, takeover_s: float
    ) -> None:
        """``takeover_s`` without a sign of life end another's right though it lives; 0: never."""
        self._ledger, self._lock, self._clock, self._log = ledger, lock, clock, log
        self._takeover_s = takeover_s
        self._watch = EpochWatch(ledger)
        self._sign = lock.sign_of_life()
        self._silent_s = 0.0
        self._looked_at = clock.monotonic()

    def ask(self) -> bool:
        """Takes over if nobody settles; True when the right to settle is ours now.

        Raises ``LedgerUnavailable`` when the ledger cannot be read or written.
        """
        silent_s = self._silence_s()
        if not self._lock.begin_election():
            return False
        try:
            epoch = self._ledger.newest_epoch()
            if not self._lock.is_free(epoch):
                if not 0 < self._takeover_s <= silent_s:
                    return False
                self._log.warning(
                    f"the market of epoch {epoch} has given no sign of life for {silent_s:.1f} s: "
                    f"taking over"
                )
            self._lock.take(self._ledger.raise_epoch(self._clock.now()))
        finally:
            self._lock.end_election()
        self._watch = EpochWatch(self._ledger)
        return True

    def renew(self, now: float) -> None:
        """The market that settles calls this on each turn; see ``EpochWatch``. Raises
        ``EpochLost``."""
        if self._watch.look(now):
            with suppress(OSError):  # a disk in trouble: the ledger's own errors tell of it
                self._lock.show_life()

    def give_up(self) -> None:
        """Lets another settle."""
        self._lock.release()
        self._silent_s = 0.0

    def _silence_s(self) -> float:
        """How long we have watched in vain for a sign of life. A look that comes late counts as a
        short one, for it may be us who slept."""
        now = self._clock.monotonic()
        since_last_look = min(now - self._looked_at, _LONGEST_LOOK_S)
        self._looked_at = now
        sign = self._lock.sign_of_life()
        if sign != self._sign:
            self._sign, self._silent_s = sign, 0.0
        else:
            self._silent_s += since_last_look
        return self._silent_s


def unchallenged(_now: float) -> None:
    """``renew`` for a market whose ledger nobody else can have, as in an embedded run."""
