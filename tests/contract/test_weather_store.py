"""What every weather store does, in memory and on a real Redis; and what only Redis can do wrong.

Rows R1 (own processes) and R20 (weather writes, the market reads).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.client import Pipeline

from energymarket.errors import SettingsError, WeatherStoreUnavailable
from energymarket.redis_weather_store import RedisWeatherStore
from energymarket.weather_store import (
    CURRENT_KEY,
    RUN_KEY,
    TICKS_KEY,
    MemoryWeatherStore,
    WeatherStore,
)
from tests.redis_server import RedisServer

LEAST_PRIVILEGE = (
    "~weather:* -@all +get +set +hset +hdel +hgetall +hkeys +del +multi +exec +watch +unwatch +ping"
)


@pytest.fixture
def redis_client(redis_server: RedisServer) -> Iterator[Any]:
    """A plain client of the emptied server, to look behind the store."""
    with closing(redis.Redis.from_url(redis_server.url, decode_responses=True)) as client:
        client.flushall()
        yield client


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> Iterator[WeatherStore]:
    if request.param == "memory":
        yield MemoryWeatherStore()
        return
    request.getfixturevalue("redis_client")
    server: RedisServer = request.getfixturevalue("redis_server")
    with closing(RedisWeatherStore(server.url)) as redis_store:
        yield redis_store


@pytest.fixture
def redis_store(redis_server: RedisServer, redis_client: Any) -> Iterator[RedisWeatherStore]:
    with closing(RedisWeatherStore(redis_server.url)) as made:
        yield made


# ------------------------------------------------------------------------------- every store


def test_an_empty_store_has_no_temperatures(store: WeatherStore) -> None:
    """R20."""
    assert store.read("run-1", 0) == {}


def test_what_is_written_is_read_from_the_asked_tick_on(store: WeatherStore) -> None:
    """R20."""
    store.write("run-1", {1: 8_250, 2: -3_500, 3: 0}, keep_from_tick=1)

    assert store.read("run-1", 1) == {1: 8_250, 2: -3_500, 3: 0}
    assert store.read("run-1", 2) == {2: -3_500, 3: 0}
    assert store.read("run-1", 4) == {}


def test_a_second_write_adds_and_overwrites(store: WeatherStore) -> None:
    store.write("run-1", {1: 10, 2: 20}, keep_from_tick=1)
    store.write("run-1", {2: 21, 3: 30}, keep_from_tick=1)

    assert store.read("run-1", 0) == {1: 10, 2: 21, 3: 30}


def test_ticks_before_the_one_to_keep_are_dropped(store: WeatherStore) -> None:
    store.write("run-1", {1: 10, 2: 20, 3: 30}, keep_from_tick=1)
    store.write("run-1", {2: 99, 4: 40}, keep_from_tick=3)

    assert store.read("run-1", 0) == {3: 30, 4: 40}


def test_a_write_without_temperatures_only_drops_the_past(store: WeatherStore) -> None:
    store.write("run-1", {1: 10, 2: 20}, keep_from_tick=1)
    store.write("run-1", {}, keep_from_tick=2)

    assert store.read("run-1", 0) == {2: 20}


def test_temperatures_of_another_run_are_not_mistaken_for_ones_own(store: WeatherStore) -> None:
    store.write("run-1", {1: 10}, keep_from_tick=1)

    assert store.read("run-2", 0) == {}


def test_another_run_replaces_everything(store: WeatherStore) -> None:
    store.write("run-1", {1: 10, 2: 20}, keep_from_tick=1)
    store.write("run-2", {2: 99}, keep_from_tick=1)

    assert store.read("run-1", 0) == {}
    assert store.read("run-2", 0) == {2: 99}


WRITES = st.lists(
    st.tuples(
        st.sampled_from(["run-1", "run-2"]),
        st.dictionaries(st.integers(0, 12), st.integers(-273_150, 1_000_000), max_size=6),
        st.integers(0, 12),
    ),
    max_size=6,
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(writes=WRITES)
def test_memory_and_redis_agree_after_any_writes(
    redis_store: RedisWeatherStore,
    redis_client: Any,
    writes: list[tuple[str, Mapping[int, int], int]],
) -> None:
    """R20: the embedded run and the containers see the same weather."""
    redis_client.flushall()
    memory_store = MemoryWeatherStore()
    for run, temperatures_mdeg, keep_from_tick in writes:
        memory_store.write(run, temperatures_mdeg, keep_from_tick)
        redis_store.write(run, temperatures_mdeg, keep_from_tick)
        for asked in ("run-1", "run-2"):
            assert redis_store.read(asked, 0) == memory_store.read(asked, 0)


# ------------------------------------------------------------------- what people see in Redis


@pytest.mark.parametrize(
    ("temperature_mdeg", "text"),
    [(12_345, "12.345"), (-3_500, "-3.5"), (0, "0.0"), (-1, "-0.001"), (35_000, "35.0")],
)
def test_the_current_temperature_is_a_plain_number_of_degrees(
    redis_store: RedisWeatherStore, redis_client: Any, temperature_mdeg: int, text: str
) -> None:
    """R20: ``redis-cli GET weather:temperature``."""
    redis_store.set_current(temperature_mdeg)

    assert redis_client.get(CURRENT_KEY) == text


def test_the_hash_holds_ticks_and_milli_degrees_and_nothing_else(
    redis_store: RedisWeatherStore, redis_client: Any
) -> None:
    """R20: ``redis-cli HGETALL weather:ticks``."""
    redis_store.write("run-1", {7: 12_345, 8: -3_500}, keep_from_tick=7)

    assert redis_client.hgetall(TICKS_KEY) == {"7": "12345", "8": "-3500"}
    assert redis_client.get(RUN_KEY) == "run-1"


def test_strange_fields_are_passed_over_and_cleared_away(
    redis_store: RedisWeatherStore, redis_client: Any
) -> None:
    redis_store.write("run-1", {7: 1_000}, keep_from_tick=7)
    redis_client.hset(TICKS_KEY, mapping={"note": "hello", "8": "warm", "²": "3"})

    assert redis_store.read("run-1", 0) == {7: 1_000}
    redis_store.write("run-1", {8: 2_000}, keep_from_tick=7)
    assert redis_client.hgetall(TICKS_KEY) == {"7": "1000", "8": "2000"}


def test_keys_of_others_are_left_alone(redis_store: RedisWeatherStore, redis_client: Any) -> None:
    redis_client.set("theirs", "1")
    redis_client.set("weather:station", "2")

    redis_store.write("run-1", {1: 10}, keep_from_tick=1)
    redis_store.write("run-2", {1: 10}, keep_from_tick=1)
    redis_store.set_current(10)

    assert redis_client.get("theirs") == "1"
    assert redis_client.get("weather:station") == "2"
    assert set(redis_client.keys("*")) == {
        "theirs",
        "weather:station",
        CURRENT_KEY,
        RUN_KEY,
        TICKS_KEY,
    }


def test_the_market_reads_what_weather_wrote_over_another_connection(
    redis_server: RedisServer, redis_store: RedisWeatherStore
) -> None:
    """R20."""
    redis_store.write("run-1", {1: 10}, keep_from_tick=1)

    with closing(RedisWeatherStore(redis_server.url)) as market:
        assert market.read("run-1", 0) == {1: 10}


def test_a_write_that_another_run_gets_in_between_of_fails_and_mixes_nothing(
    redis_server: RedisServer, redis_store: RedisWeatherStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_store.write("run-1", {1: 10}, keep_from_tick=1)
    begin = Pipeline.multi

    with closing(RedisWeatherStore(redis_server.url)) as other:

        def begin_after_the_other(transaction: Pipeline) -> None:
            monkeypatch.setattr(Pipeline, "multi", begin)
            other.write("run-2", {1: 99}, keep_from_tick=1)
            begin(transaction)

        monkeypatch.setattr(Pipeline, "multi", begin_after_the_other)
        with pytest.raises(WeatherStoreUnavailable, match="changed"):
            redis_store.write("run-1", {2: 20}, keep_from_tick=1)

    assert redis_store.read("run-2", 0) == {1: 99}
    assert redis_store.read("run-1", 0) == {}


# ------------------------------------------------------------------------- least privilege


def test_a_user_with_the_bare_commands_on_weather_keys_suffices(tmp_path: Path) -> None:
    """R20: an ACL may give weather no more than it needs, and nothing else is even tried."""
    server = RedisServer(
        tmp_path,
        f"user default off\nuser weather on >s3cret {LEAST_PRIVILEGE}\nuser admin on >a ~* +@all",
    )
    server.start()
    try:
        with closing(RedisWeatherStore(server.url_of("weather:s3cret"))) as store:
            store.write("run-1", {1: 10, 2: 20}, keep_from_tick=1)
            store.write("run-1", {3: 30}, keep_from_tick=2)
            store.write("run-2", {3: 31}, keep_from_tick=2)
            store.set_current(31)
            assert store.read("run-2", 0) == {3: 31}
        with closing(redis.Redis.from_url(server.url_of("admin:a"))) as admin:
            denied: Any = admin.acl_log()
            assert denied == []
    finally:
        server.stop()


def test_a_wrong_password_is_a_sentence_without_the_password(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, f"user default off\nuser weather on >right {LEAST_PRIVILEGE}")
    server.start()
    try:
        with (
            closing(RedisWeatherStore(server.url_of("weather:wr0ng"))) as store,
            pytest.raises(WeatherStoreUnavailable) as failure,
        ):
            store.read("run-1", 0)
    finally:
        server.stop()
    assert f"127.0.0.1:{server.port}" in str(failure.value)
    assert "wr0ng" not in str(failure.value)
    assert isinstance(failure.value.__cause__, redis.RedisError)


def test_a_url_that_makes_no_sense_is_a_wrong_setting() -> None:
    """R24."""
    with pytest.raises(SettingsError, match="Redis URL"):
        RedisWeatherStore("redis://127.0.0.1:port/0")


# --------------------------------------------------------------------------------- faults


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that the test may stop."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


def _every_call_fails(store: RedisWeatherStore, *, within_s: float) -> None:
    calls = (
        lambda: store.write("run-1", {1: 10}, keep_from_tick=1),
        lambda: store.set_current(10),
        lambda: store.read("run-1", 0),
    )
    for call in calls:
        begun_s = time.monotonic()
        with pytest.raises(WeatherStoreUnavailable, match=r"weather store at redis://127\.0\.0\.1"):
            call()
        assert time.monotonic() - begun_s < within_s


def test_a_server_that_is_away_is_reported_at_once_and_found_again(own_server: RedisServer) -> None:
    """R1: each part may be restarted on its own."""
    with closing(RedisWeatherStore(own_server.url)) as store:
        store.write("run-1", {1: 10}, keep_from_tick=1)
        own_server.stop()
        _every_call_fails(store, within_s=0.5)

        own_server.start()
        assert store.read("run-1", 0) == {}  # it has no disk here, so it forgot
        store.write("run-1", {1: 10}, keep_from_tick=1)
        assert store.read("run-1", 0) == {1: 10}


def test_a_server_that_hangs_costs_a_call_its_timeout_and_no_more(own_server: RedisServer) -> None:
    with closing(RedisWeatherStore(own_server.url, timeout_s=0.2)) as store:
        store.write("run-1", {1: 10}, keep_from_tick=1)
        own_server.pause()
        _every_call_fails(store, within_s=1.0)

        own_server.resume()
        assert store.read("run-1", 0) == {1: 10}


def test_nothing_connects_before_the_first_call() -> None:
    with closing(RedisWeatherStore("redis://127.0.0.1:1/0")) as store:
        assert isinstance(store, RedisWeatherStore)
