"""Real servers, started once for all tests that ask for them, and which tests run beside which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # no annotations

from tests.redis_server import RedisServer
from tests.servers import RabbitServer
from tests.world import closing_ledgers

NOT_BESIDE_CONTAINERS = ("tests/browser/", "/test_page.py", "/test_api_page.py", "/test_compose.py")
"""Parts of paths. Containers that come and go change the machine's network, and a browser gives up
what it was loading over that (ERR_NETWORK_CHANGED)."""


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # untyped base
    """Of several processes of tests, one runs all of a file, and one alone those of the browser and
    of the containers."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        together = any(part in file for part in NOT_BESIDE_CONTAINERS)
        return "browser and containers" if together else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Asked by pytest-xdist, for ``--dist loadfile``."""
    return _ByFile(config, log)


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
