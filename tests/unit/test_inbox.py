"""How a bus's owner waits: no wake is lost, not even one from a signal handler."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from energymarket.backoff import Backoff
from energymarket.bus.inbox import Inbox


@pytest.fixture
def usr1() -> Iterator[None]:
    before = signal.getsignal(signal.SIGUSR1)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_every_item_put_by_another_thread_is_taken_in_order() -> None:
    inbox: Inbox[int] = Inbox()

    def put_all() -> None:
        for number in range(20_000):
            inbox.put(number)

    threading.Thread(target=put_all).start()

    taken: list[int] = []
    while len(taken) < 20_000:
        inbox.wait(None)
        taken += inbox.take()

    assert taken == list(range(20_000))


def test_a_signal_between_the_last_look_and_the_sleep_ends_the_wait(usr1: None) -> None:
    """Its handler runs in the waiter's own thread, where a lock that is held would stay held."""
    inbox: Inbox[int] = Inbox()
    signal.signal(signal.SIGUSR1, lambda *_: inbox.wake())

    def nothing_yet() -> bool:
        signal.raise_signal(signal.SIGUSR1)
        return False

    for _ in range(100):
        inbox.wait_for_news(None, nothing_yet)


def test_a_signal_in_its_sleep_ends_the_wait(usr1: None) -> None:
    inbox: Inbox[int] = Inbox()
    signal.signal(signal.SIGUSR1, lambda *_: inbox.wake())
    waiter = threading.get_ident()

    threading.Timer(0.1, signal.pthread_kill, (waiter, signal.SIGUSR1)).start()

    inbox.wait(None)


def test_a_nudge_asks_again_and_a_put_ends_the_wait() -> None:
    inbox: Inbox[str] = Inbox()
    done: list[int] = []

    def finish() -> None:
        done.append(1)
        inbox.nudge()

    threading.Timer(0.05, finish).start()
    assert inbox.wait_until(lambda: bool(done), None)
    assert not inbox.wait_until(lambda: False, 0.01)


def test_the_wait_between_attempts_doubles_up_to_its_limit() -> None:
    backoff = Backoff(0.2, 5.0)

    waits_s = [backoff.next_s() for _ in range(8)]

    for wait_s, longest_s in zip(waits_s, (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0), strict=True):
        assert longest_s / 2 <= wait_s <= longest_s
    backoff.succeeded(lasted_s=4.9)
    assert backoff.next_s() > 2
    backoff.succeeded(lasted_s=5.1)
    assert backoff.next_s() <= 0.2
