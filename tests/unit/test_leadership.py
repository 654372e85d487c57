"""Who settles: decided by the epoch, timed by a lock and a sign of life (I6)."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.market.domain.rules import Rules
from services.market.errors import EpochLost, LedgerUnavailable
from services.market.leadership import Leadership
from services.market.ledger import Ledger
from services.market.lock import LedgerLock
from tests.fakes import FakeClock, RecordedLog


class SharedLock:
    """A ledger's lock as another process sees it: held by whoever took it, alive or frozen."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.sign = 0
        self.electing = False

    def begin_election(self) -> bool:
        return not self.electing

    def end_election(self) -> None:
        """Nothing to let go of."""

    def is_free(self, epoch: int) -> bool:
        return epoch not in self.held

    def take(self, epoch: int) -> None:
        self.held.add(epoch)
        self.show_life()

    def release(self) -> None:
        self.held.clear()

    def show_life(self) -> None:
        self.sign += 1

    def sign_of_life(self) -> int:
        return self.sign


class Stage:
    """A ledger, and markets that would settle on it."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/ledger.db"
        self.lock, self.clock, self.log = SharedLock(), FakeClock(), RecordedLog()
        self.ledgers: list[Ledger] = []

    def market(self, takeover_s: float = 10) -> Leadership:
        ledger = Ledger.open(self.url, Rules(seed=42))
        self.ledgers.append(ledger)
        return Leadership(ledger, self.lock, self.clock, self.log.log, takeover_s=takeover_s)

    def watch(self, market: Leadership, seconds: float, every_s: float = 0.2) -> bool:
        """Asks again and again for ``seconds``; True as soon as it may settle."""
        for _ in range(round(seconds / every_s)):
            self.clock.time_s += every_s
            if market.ask():
                return True
        return False


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_first_to_ask_settles_and_the_second_does_not(stage: Stage) -> None:
    first, second = stage.market(), stage.market()
    assert first.ask()
    assert not second.ask()
    assert stage.ledgers[0].epoch == 1


def test_a_standby_takes_over_as_soon_as_the_lock_is_free(stage: Stage) -> None:
    first, second = stage.market(), stage.market()
    first.ask()
    assert not second.ask()
    stage.lock.held.clear()
    assert second.ask()
    assert stage.ledgers[1].epoch == 2
    assert stage.log.saying("no sign of life") == []


def test_a_market_that_gives_signs_of_life_is_never_taken_over(stage: Stage) -> None:
    first, second = stage.market(), stage.market()
    first.ask()
    for _ in range(100):
        assert not stage.watch(second, 1)
        first.renew(stage.clock.monotonic())


def test_a_frozen_market_is_taken_over_after_its_silence(stage: Stage) -> None:
    first, second = stage.market(), stage.market(takeover_s=10)
    first.ask()
    assert not stage.watch(second, 9)
    assert stage.watch(second, 2)
    assert stage.log.saying("no sign of life")
    with pytest.raises(EpochLost):
        first.renew(stage.clock.monotonic())


def test_with_no_takeover_time_a_frozen_market_is_waited_for(stage: Stage) -> None:
    first, second = stage.market(), stage.market(takeover_s=0)
    first.ask()
    assert not stage.watch(second, 1_000, every_s=1)


def test_a_standby_that_slept_itself_does_not_take_over_at_once(stage: Stage) -> None:
    """It has not watched: the other may have been at work all the time."""
    first, second = stage.market(), stage.market(takeover_s=10)
    first.ask()
    second.ask()
    stage.clock.time_s += 3_600
    assert not second.ask()
    first.renew(stage.clock.monotonic())
    assert not stage.watch(second, 9)


def test_nobody_takes_over_while_another_is_looking(stage: Stage) -> None:
    market = stage.market()
    stage.lock.electing = True
    assert not market.ask()
    stage.lock.electing = False
    assert market.ask()


def test_renewing_asks_the_ledger_once_a_second_and_first_after_a_sleep(stage: Stage) -> None:
    first, second = stage.market(), stage.market()
    first.ask()
    first.renew(stage.clock.monotonic())
    stage.lock.held.clear()
    second.ask()
    first.renew(stage.clock.monotonic() + 0.5)
    with pytest.raises(EpochLost):
        first.renew(stage.clock.monotonic() + 1.0)


def test_a_real_lock_is_kept_while_its_holder_lives_and_frees_no_other(tmp_path: Path) -> None:
    lock = LedgerLock(f"sqlite:///{tmp_path}/ledger.db")
    assert lock.begin_election()
    assert lock.is_free(0)
    lock.take(1)
    before = lock.sign_of_life()
    lock.show_life()
    assert lock.sign_of_life() >= before
    assert lock.is_free(1), "its own"
    lock.release()
    lock.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable, match="ENERGYMARKET_LEDGER_URL"):
        LedgerLock(f"sqlite:///{tmp_path}/nowhere/ledger.db")
