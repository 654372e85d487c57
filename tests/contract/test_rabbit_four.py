"""Where versions of RabbitMQ differ, or may: tests of the bus once more, on RabbitMQ 4.

Left out, by name, where there is no Docker engine with its image. A queue's delivery limit counts
alike on 3.10 and on 4.0: each return counts, over a lost connection as by a refusal, and the one
after the limit is the last. Its default differs, none and 20; none of our queues leaves it to that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contract import test_bus as bus
from tests.contract import test_consumer_priority as priority
from tests.contract import test_rabbit_bus as rabbit
from tests.contract import test_rabbit_repair as repair
from tests.contract.bus_worlds import RabbitWorld
from tests.rabbit_four import RabbitFour

pytestmark = pytest.mark.compose

AGAIN: list[tuple[Callable[..., None], dict[str, Any]]] = [
    (bus.test_a_message_that_came_back_too_often_is_dead_lettered_by_the_broker, {}),
    (
        bus.test_a_full_queue_that_rejects_keeps_its_oldest_and_tells_the_publisher,
        {"queue_kind": "quorum"},
    ),
    (bus.test_a_full_queue_drops_its_oldest_into_the_dead_letters, {}),
    (bus.test_what_was_not_acknowledged_comes_again_in_order_and_says_so, {}),
    (bus.test_every_question_is_answered_however_often_connections_break, {}),
    (
        priority.test_the_reader_of_the_highest_priority_gets_everything,
        {"queue_kind": "quorum", "first_to_come": "the lower"},
    ),
    (priority.test_what_the_highest_may_not_hold_goes_to_the_next, {"queue_kind": "quorum"}),
    (rabbit.test_a_queue_that_is_deleted_is_declared_again, {}),
    (rabbit.test_an_alarm_is_said_and_what_is_beyond_the_window_is_dropped, {}),
    (rabbit.test_the_markets_own_topology_is_taken_by_the_broker, {}),
    (repair.test_an_exchange_that_its_owner_does_not_use_itself_is_put_back, {}),
    (repair.test_a_binding_that_was_taken_away_is_put_back, {}),
    (repair.test_a_reader_whose_exchange_was_made_anew_is_bound_to_it, {}),
    (repair.test_a_dead_letter_that_no_queue_takes_is_not_acknowledged, {}),
    (repair.test_what_comes_goes_to_the_new_connection_and_not_to_the_dead_one, {}),
    (repair.test_nothing_is_concluded_from_the_silence_of_a_broker_that_has_an_alarm, {}),
    (repair.test_an_alarm_that_outlasts_our_patience_ends_with_everything_in_place, {}),
]


@pytest.fixture(scope="module")
def four() -> Iterator[RabbitFour]:
    server = RabbitFour()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def world(four: RabbitFour) -> Iterator[RabbitWorld]:
    made = RabbitWorld(four)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("test", "arguments"), AGAIN, ids=[test.__name__.removeprefix("test_") for test, _ in AGAIN]
)
def test_on_rabbitmq_4_as_on_the_installed_one(
    test: Callable[..., None], arguments: dict[str, Any], world: RabbitWorld, four: RabbitFour
) -> None:
    around = {"world": world, "rabbit_server": four}
    wanted = inspect.signature(test).parameters
    test(**arguments, **{name: each for name, each in around.items() if name in wanted})
