"""Real servers, started once for all tests that ask for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.world import closing_ledgers


@pytest.fixture(autouse=True)
def _close_ledgers() -> Iterator[None]:
    """No test leaves the ledger of its worlds open; those of a module's fixture stay."""
    with closing_ledgers():
        yield


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis that runs through the whole session; a test that stops one starts its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def rabbit_server() -> Iterator[RabbitServer]:
    """A RabbitMQ that runs through the whole session; whoever stops it starts it again."""
    server = RabbitServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
