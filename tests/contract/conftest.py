"""The two worlds that a bus lives in, for the tests that hold in both."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.bus_worlds import MemoryWorld, RabbitWorld, World


@pytest.fixture(params=["memory", "rabbit"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        memory = MemoryWorld()
        yield memory
        memory.close()
        return
    rabbit = RabbitWorld(request.getfixturevalue("rabbit_server"))
    yield rabbit
    rabbit.close()
