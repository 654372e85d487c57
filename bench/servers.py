"""The servers that a benchmark runs on: those of the tests, new for each run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.redis_server import RedisServer
from tests.servers import RabbitServer


@dataclass(frozen=True, slots=True)
class Servers:
    """A new broker, a new Redis and an empty folder: nothing of an earlier run is in the way."""

    rabbit: RabbitServer
    redis: RedisServer
    folder: Path


@contextmanager
def fresh_servers() -> Iterator[Servers]:
    """They end with the block. Where one is not installed, pytest's ``fail`` says so."""
    with tempfile.TemporaryDirectory(prefix="energymarket-bench-") as name:
        folder = Path(name)
        rabbit, redis = RabbitServer(), RedisServer(folder)
        try:
            redis.start()
            rabbit.start()
            yield Servers(rabbit, redis, folder)
        finally:
            redis.stop()
            rabbit.remove()
