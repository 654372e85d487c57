"""External as a service on the memory bus: one bulletin per tick, ahead of the market.

Rows R1, R19, R22 and R23.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.messages import Bulletin
from energymarket.topology import DEAD_QUEUE, EXTERNAL_QUEUE, TICKS
from services.external.catalogue_file import load_catalogue
from services.external.domain.catalogue import CERTAIN, Catalogue, events_starting
from services.external.service import HORIZON_TICKS, LOW_TICKS, ExternalService
from tests.fakes import FakeMarket, RecordedLog

STANDARD = load_catalogue("standard")
ALWAYS_WAR = Catalogue(
    "always war",
    (replace(STANDARD.kinds[0], probability_per_2_32=CERTAIN, lowest_ttl_ticks=48),),
)


class Setting:
    """External and a market on one broker."""

    def __init__(self, catalogue: Catalogue = STANDARD) -> None:
        self.catalogue = catalogue
        self.broker = MemoryBroker()
        self.recorded = RecordedLog()
        self.market = FakeMarket(self.broker)
        self.bus = MemoryBus(self.broker)
        self.service = self._external("key-1")
        self.service.start()
        self.turn()

    def turn(self) -> float | None:
        """What the loop does once."""
        self.service.handle(self.bus.poll(0))
        return self.service.act()

    def restart(self) -> None:
        """External is killed and started anew."""
        self.bus.close()
        self.bus = MemoryBus(self.broker)
        self.service = self._external("key-2")
        self.service.start()
        self.turn()

    def _external(self, key: str) -> ExternalService:
        return ExternalService(
            bus=self.bus,
            catalogue=self.catalogue,
            log=self.recorded.log,
            new_key=lambda: key,
        )


@pytest.fixture
def setting() -> Setting:
    return Setting()


def bulletins(
    from_tick: int, to_tick: int, *, run: str = "run-1", seed: int = 42
) -> list[Bulletin]:
    return [
        Bulletin(run=run, tick=tick, events=list(events_starting(STANDARD, seed, tick)))
        for tick in range(from_tick, to_tick + 1)
    ]


# ----------------------------------------------------------------------------- running ahead


def test_nothing_is_published_before_the_market_has_spoken(setting: Setting) -> None:
    """R19: the market's messages are the authority on run and seed."""
    assert setting.turn() is None
    assert setting.market.bulletins() == []


def test_an_awaited_tick_brings_a_bulletin_for_each_tick_up_to_the_horizon(
    setting: Setting,
) -> None:
    """R19: an empty bulletin says that nothing starts."""
    setting.market.awaits(1, "weather", "external")
    setting.turn()

    assert setting.market.bulletins() == bulletins(1, 1 + HORIZON_TICKS)


def test_an_opened_tick_brings_the_coming_ones_too(setting: Setting) -> None:
    """R19: external that was started late begins where the market is."""
    setting.market.opens(100)
    setting.turn()

    assert setting.market.bulletins() == bulletins(100, 100 + HORIZON_TICKS)


def test_bulletins_go_out_in_batches_each_tick_once_and_never_run_low(setting: Setting) -> None:
    """R19: the market never waits for an external that is up."""
    published: list[Bulletin] = []
    batches = 0
    for tick in range(1, 201):
        setting.market.opens(tick)
        setting.turn()
        batch = setting.market.bulletins()
        published += batch
        batches += bool(batch)
        assert LOW_TICKS <= published[-1].tick - tick <= HORIZON_TICKS

    assert published == bulletins(1, published[-1].tick)
    assert batches <= 1 + 200 // (HORIZON_TICKS - LOW_TICKS + 1) + 1


def test_of_several_waiting_ticks_only_the_newest_is_acted_on(setting: Setting) -> None:
    for tick in range(1, 51):
        setting.market.opens(tick)
    setting.turn()

    assert setting.market.bulletins() == bulletins(50, 50 + HORIZON_TICKS)
    assert len(setting.recorded.saying("tick 50")) == 1


def test_ticks_that_were_missed_are_skipped(setting: Setting) -> None:
    setting.market.opens(1)
    setting.turn()
    setting.market.bulletins()
    setting.market.opens(500)
    setting.turn()

    assert setting.market.bulletins() == bulletins(500, 500 + HORIZON_TICKS)


def test_a_settled_tick_changes_nothing(setting: Setting) -> None:
    setting.market.settles(5)
    setting.turn()

    assert setting.market.bulletins() == []


@pytest.mark.parametrize(("run", "seed"), [("run-2", 42), ("run-1", 43), ("run-2", 43)])
def test_another_run_or_seed_begins_at_its_own_tick(setting: Setting, run: str, seed: int) -> None:
    """R19."""
    setting.market.opens(20)
    setting.turn()
    setting.market.bulletins()
    setting.market.awaits(3, "homes", run=run, seed=seed)
    setting.turn()

    assert setting.market.bulletins() == bulletins(3, 3 + HORIZON_TICKS, run=run, seed=seed)


def test_bulletins_outlive_a_restart_of_the_broker(setting: Setting) -> None:
    """R1: they are persistent."""
    setting.market.awaits(1, "external")
    setting.turn()
    setting.broker.stop()

    assert len(setting.broker.messages_in(EXTERNAL_QUEUE)) == HORIZON_TICKS + 1


# -------------------------------------------------------------------------------- lost memory


def test_a_market_that_lacks_bulletins_gets_the_window_again(setting: Setting) -> None:
    """R1, R19."""
    setting.market.opens(5)
    setting.turn()
    setting.market.bulletins()
    for _ in range(3):
        setting.market.awaits(6, "external")
        setting.turn()
        assert setting.market.bulletins() == bulletins(6, 6 + HORIZON_TICKS)


def test_a_wait_for_others_is_no_reason_to_publish_again(setting: Setting) -> None:
    setting.market.awaits(1, "external")
    setting.turn()
    setting.market.bulletins()
    for _ in range(10):
        setting.market.awaits(1, "homes", "weather")
        setting.turn()

    assert setting.market.bulletins() == []


def test_a_restarted_external_says_the_same_again(setting: Setting) -> None:
    """R1, R19."""
    setting.market.opens(5)
    setting.turn()
    before = setting.market.bulletins()
    setting.restart()
    setting.market.opens(6)
    setting.turn()
    after = setting.market.bulletins()

    assert before[1:] == after[:-1]
    assert after == bulletins(6, 6 + HORIZON_TICKS)


def test_after_a_lost_connection_the_window_is_published_again(setting: Setting) -> None:
    """R1: what was on its way may have been lost."""
    setting.market.opens(5)
    setting.turn()
    setting.market.bulletins()
    setting.broker.drop_connection(setting.bus)
    setting.turn()
    setting.turn()
    setting.market.opens(6)
    setting.turn()

    assert setting.market.bulletins() == bulletins(6, 6 + HORIZON_TICKS)


def test_external_started_before_the_market_listens_once_it_is_there() -> None:
    """R1: the order in which the containers start does not matter."""
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    service = ExternalService(bus=bus, catalogue=STANDARD, log=RecordedLog().log)
    service.start()
    service.handle(bus.poll(0))
    market = FakeMarket(broker)
    service.handle(bus.poll(0))
    market.awaits(1, "external")
    service.handle(bus.poll(0))
    service.act()

    assert market.bulletins() == bulletins(1, 1 + HORIZON_TICKS)


# ----------------------------------------------------------------------- the bus and the loop


def test_every_delivery_is_acknowledged(setting: Setting) -> None:
    """R23: a queue with a bounded number of unacknowledged messages would stop otherwise."""
    more_than_the_prefetch = 1_500
    last: list[Bulletin] = []
    for tick in range(1, more_than_the_prefetch + 1):
        setting.market.awaits(tick, "external")
        setting.market.settles(tick)
        setting.turn()
        last = setting.market.bulletins()

    assert last[0].tick == more_than_the_prefetch
    assert setting.broker.messages_in("external.key-1") == []
    assert setting.broker.messages_in(DEAD_QUEUE) == []


def test_what_is_no_message_goes_to_the_dead_letters_with_its_reason(setting: Setting) -> None:
    setting.broker.publish_raw(TICKS, "", b"not json")
    setting.market.opens(5)
    setting.turn()

    (dead,) = setting.broker.messages_in(DEAD_QUEUE)
    assert dead.headers is not None
    assert dead.headers["x-reason"] == "malformed"
    assert setting.market.bulletins() == bulletins(5, 5 + HORIZON_TICKS)


def test_stopping_takes_its_queue_away_and_external_never_finishes_by_itself(
    setting: Setting,
) -> None:
    """R23."""
    assert setting.broker.has_queue("external.key-1")
    assert not setting.service.finished
    setting.service.stop()

    assert not setting.broker.has_queue("external.key-1")


# ---------------------------------------------------------------------------------- the log


def test_an_event_that_starts_has_its_own_line() -> None:
    """R22."""
    setting = Setting(ALWAYS_WAR)
    setting.market.opens(12)
    setting.turn()

    (line,) = setting.recorded.saying("event war starts")
    (event,) = events_starting(ALWAYS_WAR, 42, 12)
    assert line["tick"] == 12
    assert line["coefficient_eur_per_kwh"] == event.coefficient_neur_per_wh / 1_000_000
    assert line["ttl_ticks"] == 48


def test_each_tick_has_one_line_with_what_starts_and_what_is_ahead(setting: Setting) -> None:
    """R22."""
    starting = {t: [e.name for e in events_starting(STANDARD, 42, t)] for t in range(1, 200)}
    for tick in range(1, 120):
        setting.market.opens(tick)
        setting.turn()

        (line,) = (li for li in setting.recorded.lines if li["event"] == f"tick {tick}")
        assert line["starting"] == (",".join(starting[tick]) or "none")
        ahead = [f"{name}@{t}" for t in range(tick + 1, 200) for name in starting[t]]
        assert line["ahead"] in (ahead[0], "none")

    assert sum(line["ahead"] != "none" for line in setting.recorded.saying("tick ")) > 60


def test_events_of_skipped_ticks_are_told_too() -> None:
    """R22: a slow external acts on the newest tick, but hides nothing that began."""
    setting = Setting(ALWAYS_WAR)
    setting.market.awaits(1, "external")
    setting.turn()
    for tick in (1, 2, 3):
        setting.market.opens(tick)
    setting.turn()

    assert [line["tick"] for line in setting.recorded.saying("event war starts")] == [1, 2, 3]


def test_what_was_said_again_is_not_told_twice() -> None:
    """R22."""
    setting = Setting(ALWAYS_WAR)
    for tick in (1, 2):
        setting.market.awaits(tick, "external")
        setting.turn()
        setting.market.awaits(tick, "external")
        setting.turn()
        setting.market.opens(tick)
        setting.turn()

    assert [line["tick"] for line in setting.recorded.saying("event war starts")] == [1, 2]


def test_a_tick_that_the_market_announces_again_is_told_once(setting: Setting) -> None:
    """R22."""
    for tick in (12, 12, 12, 13):
        setting.market.opens(tick)
        setting.turn()

    assert len(setting.recorded.saying("tick 12")) == 1
    assert len(setting.recorded.saying("tick 13")) == 1
