"""Weather as a service on the memory bus: it runs ahead of the market, whatever is lost.

Rows R1, R20, R22 and R23.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from energymarket.bus.memory import MemoryBroker, MemoryBus
from energymarket.errors import SettingsError, WeatherStoreUnavailable
from energymarket.settings import load
from energymarket.topology import DEAD_QUEUE, TICKS
from energymarket.weather_store import MemoryWeatherStore
from services.weather.domain.climate import TEMPERATE
from services.weather.service import (
    FIRST_RETRY_S,
    HORIZON_TICKS,
    LONGEST_RETRY_S,
    LOW_TICKS,
    WeatherService,
)
from services.weather.settings import WeatherSettings
from tests.fakes import FakeClock, FakeMarket, RecordedLog


class UnsteadyStore:
    """A memory store that can be taken away, and that counts how often it is asked."""

    def __init__(self) -> None:
        self.inner = MemoryWeatherStore()
        self.up = True
        self.writes = 0
        self.attempts = 0

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        self._check()
        self.writes += 1
        self.inner.write(run, temperatures_mdeg, keep_from_tick)

    def set_current(self, temperature_mdeg: int) -> None:
        self._check()
        self.inner.set_current(temperature_mdeg)

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        return self.inner.read(run, from_tick)

    def close(self) -> None:
        self.inner.close()

    def forget(self) -> None:
        self.inner = MemoryWeatherStore()

    def _check(self) -> None:
        self.attempts += 1
        if not self.up:
            raise WeatherStoreUnavailable("the weather store is away")


class Setting:
    """Weather, a market and a store on one broker."""

    def __init__(self) -> None:
        self.broker = MemoryBroker()
        self.clock = FakeClock()
        self.recorded = RecordedLog()
        self.store = UnsteadyStore()
        self.market = FakeMarket(self.broker)
        self.bus = MemoryBus(self.broker)
        self.service = self._weather("key-1")
        self.service.start()
        self.turn()

    def turn(self) -> float | None:
        """What the loop does once."""
        self.service.handle(self.bus.poll(0))
        return self.service.act()

    def restart(self) -> None:
        """Weather is killed and started anew."""
        self.bus.close()
        self.bus = MemoryBus(self.broker)
        self.service = self._weather("key-2")
        self.service.start()
        self.turn()

    def stored(self, run: str = "run-1") -> dict[int, int]:
        return self.store.read(run, 0)

    def _weather(self, key: str) -> WeatherService:
        return WeatherService(
            bus=self.bus,
            store=self.store,
            climate=TEMPERATE,
            clock=self.clock,
            log=self.recorded.log,
            new_key=lambda: key,
        )


@pytest.fixture
def setting() -> Setting:
    return Setting()


def forecast(from_tick: int, to_tick: int, seed: int = 42) -> dict[int, int]:
    return {t: TEMPERATE.temperature_mdeg(seed, t) for t in range(from_tick, to_tick + 1)}


# --------------------------------------------------------------------------- running ahead


def test_nothing_is_written_before_the_market_has_spoken(setting: Setting) -> None:
    """R20: the market's messages are the authority on run and seed."""
    assert setting.turn() is None
    assert setting.store.attempts == 0


def test_an_awaited_tick_brings_the_temperatures_from_it_to_the_horizon(setting: Setting) -> None:
    """R20."""
    setting.market.awaits(1, "weather", "external")
    setting.turn()

    assert setting.stored() == forecast(1, 1 + HORIZON_TICKS)


def test_an_opened_tick_brings_the_coming_ones_too(setting: Setting) -> None:
    """R20: weather that was started late begins where the market is."""
    setting.market.opens(100)
    setting.turn()

    assert setting.stored() == forecast(100, 100 + HORIZON_TICKS)


def test_the_current_temperature_is_the_one_that_the_market_opened_with(setting: Setting) -> None:
    """R20."""
    setting.market.opens(7, temperature_mdeg=12_345)
    setting.turn()

    assert setting.store.inner.current_mdeg == 12_345


def test_it_is_topped_up_in_batches_and_never_runs_low(setting: Setting) -> None:
    """R20: the market never waits for a weather that is up."""
    for tick in range(1, 201):
        setting.market.opens(tick)
        setting.turn()
        ahead = max(setting.stored()) - tick
        assert LOW_TICKS <= ahead <= HORIZON_TICKS
        assert setting.stored() == forecast(min(setting.stored()), max(setting.stored()))

    assert setting.store.writes <= 1 + 200 // (HORIZON_TICKS - LOW_TICKS + 1) + 1


def test_the_past_is_trimmed(setting: Setting) -> None:
    for tick in (1, 20, 40, 60):
        setting.market.opens(tick)
        setting.turn()

    assert min(setting.stored()) == 60


def test_of_several_waiting_ticks_only_the_newest_is_acted_on(setting: Setting) -> None:
    for tick in range(1, 51):
        setting.market.opens(tick, temperature_mdeg=tick)
    setting.turn()

    assert setting.store.writes == 1
    assert setting.stored() == forecast(50, 50 + HORIZON_TICKS)
    assert setting.store.inner.current_mdeg == 50
    assert len(setting.recorded.saying("tick ")) == 1


def test_a_settled_tick_changes_nothing(setting: Setting) -> None:
    setting.market.settles(5)
    setting.turn()

    assert setting.store.attempts == 0


@pytest.mark.parametrize(("run", "seed"), [("run-2", 42), ("run-1", 43), ("run-2", 43)])
def test_another_run_or_seed_begins_anew(setting: Setting, run: str, seed: int) -> None:
    """R20: the temperatures of an earlier ledger must not be mistaken for this one's."""
    setting.market.opens(5)
    setting.turn()
    setting.market.awaits(5, "homes", run=run, seed=seed)
    setting.turn()

    assert setting.stored(run) == forecast(5, 5 + HORIZON_TICKS, seed)


# ------------------------------------------------------------------------------ lost memory


def test_a_store_that_lost_its_memory_is_filled_again_when_the_market_says_so(
    setting: Setting,
) -> None:
    """R1, R20."""
    setting.market.opens(5)
    setting.turn()
    setting.store.forget()
    setting.market.awaits(6, "weather")
    setting.turn()

    assert setting.stored() == forecast(6, 6 + HORIZON_TICKS)


def test_a_repeated_wait_for_weather_is_answered_every_time(setting: Setting) -> None:
    for _ in range(3):
        setting.store.forget()
        setting.market.awaits(6, "weather")
        setting.turn()
        assert setting.stored() == forecast(6, 6 + HORIZON_TICKS)


def test_a_wait_for_others_is_no_reason_to_write_again(setting: Setting) -> None:
    setting.market.awaits(1, "weather")
    setting.turn()
    for _ in range(10):
        setting.market.awaits(1, "homes", "external")
        setting.turn()

    assert setting.store.writes == 1


def test_a_wait_for_weather_counts_even_when_a_tick_was_opened_after_it(setting: Setting) -> None:
    """R20: with a deadline the market goes on without, and the store is still empty."""
    setting.market.opens(5)
    setting.turn()
    setting.store.forget()
    setting.market.awaits(6, "weather")
    setting.market.opens(6)
    setting.turn()

    assert setting.stored() == forecast(6, 6 + HORIZON_TICKS)


def test_a_restarted_weather_writes_the_same_temperatures(setting: Setting) -> None:
    """R1, R20."""
    setting.market.opens(5)
    setting.turn()
    before = setting.stored()
    setting.restart()
    setting.market.opens(6)
    setting.turn()

    assert setting.stored().items() >= {t: v for t, v in before.items() if t >= 6}.items()
    assert max(setting.stored()) == 6 + HORIZON_TICKS


# ------------------------------------------------------------------------- a store that is away


def test_a_store_that_is_away_is_tried_again_with_growing_pauses(setting: Setting) -> None:
    """R20: no hot loop, and the first try after it is back catches up."""
    setting.store.up = False
    setting.market.opens(5)
    pauses_s = []
    due_s = setting.turn()
    for _ in range(8):
        assert due_s is not None
        pauses_s.append(due_s - setting.clock.time_s)
        setting.clock.time_s = due_s
        due_s = setting.turn()

    assert FIRST_RETRY_S / 2 <= pauses_s[0] <= FIRST_RETRY_S
    assert LONGEST_RETRY_S / 2 <= pauses_s[-1] <= LONGEST_RETRY_S
    assert all(pause_s <= LONGEST_RETRY_S for pause_s in pauses_s)
    assert setting.store.attempts == 9


def test_messages_do_not_hurry_the_next_try(setting: Setting) -> None:
    setting.store.up = False
    for tick in range(5, 50):
        setting.market.opens(tick)
        setting.turn()

    assert setting.store.attempts == 1


def test_what_the_market_wants_by_then_is_written_when_the_store_is_back(setting: Setting) -> None:
    """R1, R20."""
    setting.market.opens(5)
    setting.turn()
    setting.store.up = False
    setting.market.opens(6)
    setting.turn()
    setting.market.opens(9, temperature_mdeg=9_000)
    setting.turn()
    setting.store.forget()
    setting.store.up = True
    setting.clock.time_s += LONGEST_RETRY_S

    assert setting.turn() is None
    assert setting.stored() == forecast(9, 9 + HORIZON_TICKS)
    assert setting.store.inner.current_mdeg == 9_000


def test_the_loss_and_the_return_are_each_said_once(setting: Setting) -> None:
    """R22."""
    setting.store.up = False
    setting.market.opens(5)
    for _ in range(5):
        setting.turn()
        setting.clock.time_s += LONGEST_RETRY_S
    setting.store.up = True
    setting.turn()
    setting.market.opens(6)
    setting.turn()

    (lost,) = setting.recorded.saying("weather store lost")
    (back,) = setting.recorded.saying("weather store is back")
    assert (lost["level"], lost["reason"]) == ("warning", "the weather store is away")
    assert (back["level"], back["failed_attempts"]) == ("info", 5)


def test_after_a_second_loss_the_pauses_begin_short_again(setting: Setting) -> None:
    for tick in (5, 6):
        setting.store.up = False
        setting.market.opens(tick)
        for _ in range(4):
            due_s = setting.turn()
            setting.clock.time_s += LONGEST_RETRY_S
        setting.store.up = True
        setting.turn()
    setting.store.up = False
    setting.market.opens(7)
    due_s = setting.turn()

    assert due_s is not None
    assert due_s - setting.clock.time_s <= FIRST_RETRY_S


# ----------------------------------------------------------------------- the bus and the loop


def test_every_delivery_is_acknowledged(setting: Setting) -> None:
    """R23: a queue with a bounded number of unacknowledged messages would stop otherwise."""
    more_than_the_prefetch = 1_500
    for tick in range(1, more_than_the_prefetch + 1):
        setting.market.awaits(tick, "weather")
        setting.market.settles(tick)
        setting.turn()

    assert min(setting.stored()) == more_than_the_prefetch
    assert setting.broker.messages_in("weather.key-1") == []
    assert setting.broker.messages_in(DEAD_QUEUE) == []


def test_what_is_no_message_goes_to_the_dead_letters_with_its_reason(setting: Setting) -> None:
    setting.broker.publish_raw(TICKS, "", b"not json")
    setting.market.opens(5)
    setting.turn()

    (dead,) = setting.broker.messages_in(DEAD_QUEUE)
    assert dead.body == b"not json"
    assert dead.headers is not None
    assert dead.headers["x-reason"] == "malformed"
    assert setting.recorded.saying("message refused")[0]["reason"] == "malformed"
    assert setting.stored() == forecast(5, 5 + HORIZON_TICKS)


def test_a_message_that_has_no_business_here_goes_to_the_dead_letters(setting: Setting) -> None:
    setting.broker.publish_raw(
        TICKS, "", b'{"type":"Join","version":1,"fleet":"f","instance":"i","homes":1}'
    )
    setting.turn()

    (dead,) = setting.broker.messages_in(DEAD_QUEUE)
    assert dead.headers is not None
    assert dead.headers["x-reason"] == "unexpected"


def test_weather_started_before_the_market_listens_once_it_is_there() -> None:
    """R1: the order in which the containers start does not matter."""
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    store = MemoryWeatherStore()
    service = WeatherService(
        bus=bus, store=store, climate=TEMPERATE, clock=FakeClock(), log=RecordedLog().log
    )
    service.start()
    service.handle(bus.poll(0))
    market = FakeMarket(broker)
    service.handle(bus.poll(0))
    market.awaits(1, "weather")
    service.handle(bus.poll(0))
    service.act()

    assert store.read("run-1", 0) == forecast(1, 1 + HORIZON_TICKS)


def test_after_a_lost_connection_the_next_tick_is_served(setting: Setting) -> None:
    """R1."""
    setting.market.opens(5)
    setting.turn()
    setting.broker.drop_connection(setting.bus)
    setting.turn()
    setting.turn()
    setting.market.opens(30)
    setting.turn()

    assert setting.stored() == forecast(30, 30 + HORIZON_TICKS)


def test_stopping_takes_its_queue_away_and_weather_never_finishes_by_itself(
    setting: Setting,
) -> None:
    """R23."""
    assert setting.broker.has_queue("weather.key-1")
    assert not setting.service.finished
    setting.service.stop()

    assert not setting.broker.has_queue("weather.key-1")


def test_each_tick_has_one_line_with_its_temperature_and_the_end_of_the_forecast(
    setting: Setting,
) -> None:
    """R22."""
    setting.market.opens(12, temperature_mdeg=8_250)
    setting.turn()
    setting.turn()

    (line,) = setting.recorded.saying("tick 12")
    assert line["temperature_c"] == 8.25
    assert line["forecast_to_tick"] == 12 + HORIZON_TICKS
    assert line["level"] == "info"


def test_a_tick_that_the_market_announces_again_is_told_once(setting: Setting) -> None:
    """R22."""
    for tick in (12, 12, 12, 13):
        setting.market.opens(tick)
        setting.turn()

    assert len(setting.recorded.saying("tick 12")) == 1
    assert len(setting.recorded.saying("tick 13")) == 1


def test_an_unknown_climate_is_refused_with_the_ones_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """R24."""
    monkeypatch.setenv("ENERGYMARKET_CLIMATE", "tropical")

    with pytest.raises(
        SettingsError,
        match=r"ENERGYMARKET_CLIMATE is 'tropical'; it must be one of temperate, .*classic\.",
    ):
        load(WeatherSettings)


def test_the_default_climate_is_temperate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ENERGYMARKET_CLIMATE", raising=False)

    assert load(WeatherSettings).climate == "temperate"
