"""A broker that is away or refuses: what that means, what to do, and when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from energymarket.backoff import Backoff
from energymarket.clock import Clock
from energymarket.telemetry import Log

ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530
INTERNAL_ERROR: Final = 541


class Trouble(NamedTuple):
    """A reason why there is no connection.

    ``lasting`` ones do not go away by themselves; ``usual`` ones belong to any start. ``reason`` is
    what the broker, or the system, said.
    """

    sentence: str
    lasting: bool = False
    usual: bool = False
    reason: str = ""

    def __str__(self) -> str:
        """For who does not wait until it is over."""
        return f"{self.sentence} ({self.reason})" if self.reason else self.sentence


_SENTENCES: Final = {
    ACCESS_REFUSED: Trouble(
        "the broker refuses this user; check user, password and permissions "
        "(ENERGYMARKET_AMQP_URL)",
        lasting=True,
    ),
    NOT_FOUND: Trouble("waiting for something that its owner has yet to declare", usual=True),
    LOCKED: Trouble("a lost connection still holds the queue"),
    PRECONDITION_FAILED: Trouble(
        "a queue or exchange exists with other arguments than this version gives it; let it run "
        "empty and delete it (rabbitmqctl delete_queue NAME)",
        lasting=True,
    ),
    NOT_ALLOWED: Trouble(
        "the broker refuses the virtual host; create it, give the user access to it, or check "
        "ENERGYMARKET_AMQP_URL",
        lasting=True,
    ),
    INTERNAL_ERROR: Trouble("the broker failed, its log says over what"),
}
_TIMED_OUT: Final = Trouble(
    "the broker waited longer for an acknowledgement than its consumer_timeout allows, as it does "
    "of a market that is paused or waits for homes; set it higher (rabbitmq.conf)"
)
_UNREACHABLE: Final = Trouble("the broker is not there")

_ACKNOWLEDGEMENT_TIMED_OUT: Final = "timed out"
"""In the reason of a channel that was closed over its consumer's timeout, on every version."""


class Retries:
    """Says each kind of trouble once, until there is a connection again; knows how long to wait.

    ``trouble``: why there is no connection; None while there is one, or none was tried.
    """

    def __init__(self, log: Log, clock: Clock, address: str, backoff: Backoff) -> None:
        self._log = log
        self._clock = clock
        self._address = address
        self._backoff = backoff
        self.trouble: Trouble | None = None
        self._up_since_s = 0.0

    def failed(self, reply_code: int, reason: str) -> None:
        """``reply_code`` is AMQP's; 0, or one of no special meaning, is a broker out of reach."""
        trouble = _SENTENCES.get(reply_code, _UNREACHABLE)
        if reply_code == PRECONDITION_FAILED and _ACKNOWLEDGEMENT_TIMED_OUT in reason:
            trouble = _TIMED_OUT
        before, self.trouble = self.trouble, trouble._replace(reason=reason)
        if before and before.sentence == trouble.sentence:
            return
        if trouble.usual:
            self._log.info(trouble.sentence, broker=self._address, reason=reason)
        else:
            said = f"{trouble.sentence}; trying again"
            self._log.warning(said, broker=self._address, reason=reason)

    def connected(self) -> None:
        """There is a connection, with everything in place."""
        self.trouble = None
        self._up_since_s = self._clock.monotonic()
        self._log.info("connected to the broker", broker=self._address)

    def lost(self) -> None:
        """The connection ended."""
        self._backoff.succeeded(self._clock.monotonic() - self._up_since_s)

    def blocked(self, reason: str) -> None:
        """The broker has stopped reading what this connection sends."""
        self._log.warning("the broker has stopped reading", broker=self._address, reason=reason)

    def unblocked(self) -> None:
        """It goes on."""
        self._log.info("the broker reads again", broker=self._address)

    def wait_s(self) -> float:
        """Until the next attempt."""
        lasting = self.trouble is not None and self.trouble.lasting
        return self._backoff.longest_s if lasting else self._backoff.next_s()


def facts(error: BaseException, codes: Mapping[type, int]) -> tuple[int, str]:
    """AMQP's reply code (0: none) and the reason, out of a driver's nested errors.

    ``codes`` gives those of errors that carry none, as when the broker only hangs up.
    """
    error = _innermost(error)
    if isinstance(error, OSError) and error.strerror:
        return 0, error.strerror
    code = getattr(error, "reply_code", codes.get(type(error), 0))
    return code, getattr(error, "reply_text", str(error)) or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    """The error that began it: drivers wrap errors in ``exceptions``, ``exception`` or ``args``."""
    several = getattr(error, "exceptions", None)
    inner = several[-1] if several else getattr(error, "exception", None)
    if inner is None and error.args:
        inner = error.args[0]
    return _innermost(inner) if isinstance(inner, BaseException) else error
