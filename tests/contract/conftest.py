"""The worlds that a bus lives in, for the tests that hold in all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.bus_worlds import MemoryWorld, RabbitWorld, World


@pytest.fixture(params=["memory", "rabbit", "rabbit without a thread"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        memory = MemoryWorld()
        yield memory
        memory.close()
        return
    own_thread = request.param == "rabbit"
    rabbit = RabbitWorld(request.getfixturevalue("rabbit_server"), own_thread=own_thread)
    yield rabbit
    rabbit.close()
