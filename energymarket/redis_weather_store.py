"""The weather store that the containers share; the only file that knows Redis.

Needs no more of Redis than these commands on ``weather:*``: GET, SET, DEL, HSET, HDEL, HKEYS,
HGETALL, MULTI, EXEC, WATCH, UNWATCH, and PING. Hence protocol 2 (3 would begin with HELLO) and no
name of the library (CLIENT SETINFO); a database other than 0 needs SELECT besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry

from energymarket.errors import SettingsError, WeatherStoreUnavailable
from energymarket.settings import without_password
from energymarket.units import degrees
from energymarket.weather_store import CURRENT_KEY, RUN_KEY, TICKS_KEY

DEFAULT_TIMEOUT_S: Final = 0.5

Result = TypeVar("Result")


class RedisWeatherStore:
    """The ``WeatherStore`` port on Redis 7 or 8. Connects at its first use, and again when needed.

    A server out of reach costs a call ``connect_timeout_s``, one that hangs ``timeout_s``;
    nothing is tried again in here, for the caller has other things to do meanwhile.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout_s: float = DEFAULT_TIMEOUT_S,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        try:
            self._address = without_password(url)
            self._redis = redis.Redis.from_url(
                url,
                protocol=2,
                decode_responses=True,
                encoding_errors="replace",
                socket_connect_timeout=connect_timeout_s,
                socket_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),
                driver_info=None,
            )
        except ValueError as error:
            raise SettingsError(f"the Redis URL is wrong: {error}.") from error

    def write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        """See ``WeatherStore``. All or nothing: readers see the window before or after."""
        kept = {tick: t for tick, t in temperatures_mdeg.items() if tick >= keep_from_tick}
        self._call(lambda: self._write(run, kept, keep_from_tick))

    def set_current(self, temperature_mdeg: int) -> None:
        """See ``WeatherStore``."""
        self._call(lambda: self._redis.set(CURRENT_KEY, str(degrees(temperature_mdeg))))

    def read(self, run: str, from_tick: int) -> dict[int, int]:
        """See ``WeatherStore``. What is not a pair of integers is passed over."""
        stored_run, stored = self._call(self._read)
        if stored_run != run:
            return {}
        ticks = {int(k): int(v) for k, v in stored.items() if _is_integer(k) and _is_integer(v)}
        return {tick: t for tick, t in ticks.items() if tick >= from_tick}

    def close(self) -> None:
        """See ``WeatherStore``."""
        self._redis.close()

    def _call(self, command: Callable[[], Result]) -> Result:
        try:
            return command()
        except (RedisError, OSError) as error:
            raise WeatherStoreUnavailable(
                f"the weather store at {self._address} cannot be used: {error}"
            ) from error

    def _read(self) -> tuple[str | None, dict[str, str]]:
        with self._redis.pipeline(transaction=True) as transaction:
            transaction.get(RUN_KEY)
            transaction.hgetall(TICKS_KEY)
            stored_run, stored = transaction.execute()
        return stored_run, stored

    def _write(self, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int) -> None:
        with self._redis.pipeline(transaction=True) as transaction:
            _write_window(transaction, run, temperatures_mdeg, keep_from_tick)


def _write_window(
    transaction: Pipeline, run: str, temperatures_mdeg: Mapping[int, int], keep_from_tick: int
) -> None:
    """Fails with a ``WatchError`` when another writer changed the run meanwhile."""
    transaction.watch(RUN_KEY)  # type: ignore[no-untyped-call]  # redis leaves it untyped
    stored_run: Any = transaction.get(RUN_KEY)
    fields: Any = transaction.hkeys(TICKS_KEY) if stored_run == run else ()
    transaction.multi()
    if stored_run != run:
        transaction.delete(TICKS_KEY)
        transaction.set(RUN_KEY, run)
    if past := _past(fields, keep_from_tick):
        transaction.hdel(TICKS_KEY, *past)
    if temperatures_mdeg:
        transaction.hset(TICKS_KEY, mapping={str(k): str(v) for k, v in temperatures_mdeg.items()})
    transaction.execute()


def _past(fields: Iterable[str], keep_from_tick: int) -> list[str]:
    """Fields to drop: ticks that are over, and what is no tick at all."""
    return [field for field in fields if not _is_integer(field) or int(field) < keep_from_tick]


def _is_integer(text: str) -> bool:
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit()
