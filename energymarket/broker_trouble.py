"""A broker that is away or refuses: what that means, what to do, and when to try again."""

from __future__ import annotations

from typing import Final, NamedTuple

from energymarket.backoff import Backoff
from energymarket.telemetry import Log

ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530


class Trouble(NamedTuple):
    """A reason why there is no connection. ``lasting`` ones do not go away by themselves."""

    sentence: str
    lasting: bool


_SENTENCES: Final = {
    ACCESS_REFUSED: Trouble(
        "the broker refuses this user; check user, password and permissions "
        "(ENERGYMARKET_AMQP_URL). Trying again",
        lasting=True,
    ),
    NOT_FOUND: Trouble("waiting for something that its owner has yet to declare", lasting=False),
    LOCKED: Trouble("a lost connection still holds the queue; trying again", lasting=False),
    PRECONDITION_FAILED: Trouble(
        "a queue or exchange exists with other arguments than this version gives it; let it run "
        "empty and delete it (rabbitmqctl delete_queue NAME). Trying again",
        lasting=True,
    ),
    NOT_ALLOWED: Trouble(
        "the broker refuses the virtual host; create it, give the user access to it, or check "
        "ENERGYMARKET_AMQP_URL. Trying again",
        lasting=True,
    ),
}
_UNREACHABLE: Final = Trouble("the broker is not there; trying again", lasting=False)


class Retries:
    """Says each kind of trouble once, until there is a connection again; knows how long to wait.

    The wait begins small again only after a connection that lasted: a short one may have failed
    over what was sent on it, and would fail again as fast.
    """

    def __init__(self, log: Log, address: str, *, first_s: float, longest_s: float) -> None:
        self._log = log
        self._address = address
        self._longest_s = longest_s
        self._backoff = Backoff(first_s, longest_s)
        self._said = ""
        self._lasting = False

    def failed(self, reply_code: int, reason: str) -> None:
        """``reply_code`` is AMQP's; 0, or one of no special meaning, is a broker out of reach."""
        sentence, self._lasting = _SENTENCES.get(reply_code, _UNREACHABLE)
        if sentence != self._said:
            self._said = sentence
            self._log.warning(sentence, broker=self._address, reason=reason)

    def connected(self) -> None:
        """There is a connection, with everything in place."""
        self._said = ""
        self._lasting = False
        self._log.info("connected to the broker", broker=self._address)

    def lost(self, after_s: float) -> None:
        """The connection ended, ``after_s`` seconds after it was there."""
        if after_s > self._longest_s:
            self._backoff.reset()

    def wait_s(self) -> float:
        """Until the next attempt."""
        return self._longest_s if self._lasting else self._backoff.next_s()


def innermost(error: BaseException) -> BaseException:
    """The error that began it: drivers wrap errors in ``exceptions``, ``exception`` or ``args``."""
    several = getattr(error, "exceptions", None)
    inner = several[-1] if several else getattr(error, "exception", None)
    if inner is None and error.args:
        inner = error.args[0]
    return innermost(inner) if isinstance(inner, BaseException) else error
