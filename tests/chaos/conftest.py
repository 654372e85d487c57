"""A running system for the tests of a module, with a broker that they may break."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.rig import Rig
from tests.rabbit_four import RabbitFour
from tests.redis_server import RedisServer
from tests.servers import RabbitServer

BROKERS = {"installed": RabbitServer, "four": RabbitFour}


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """On the RabbitMQ that is installed, or on the one of ``BROKERS`` that the test asks for."""
    folder = tmp_path_factory.mktemp("trouble")
    rabbit = BROKERS[getattr(request, "param", "installed")]()
    redis = RedisServer(folder)
    try:
        rabbit.start()
        redis.start()
        made = Rig(rabbit, redis, folder)
        try:
            yield made
        finally:
            made.stop()
    finally:
        redis.stop()
        rabbit.remove()
