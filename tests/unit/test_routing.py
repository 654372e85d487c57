"""Where the memory bus routes a message: as RabbitMQ would."""

from __future__ import annotations

import pytest

from energymarket.bus.routing import Router, key_matches
from energymarket.errors import BusError
from energymarket.topology import Binding, Exchange


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("home.*", "home.abc", True),
        ("home.*", "home.", True),
        ("home.*", "home", False),
        ("home.*", "home.abc.def", False),
        ("home.*", "house.abc", False),
        ("*.abc", "home.abc", True),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("home.#", "home", True),
        ("home.#", "home.a.b", True),
        ("home.#.b", "home.b", True),
        ("home.#.b", "home.x.y.b", True),
        ("home.#.b", "home.x.y.c", False),
        ("", "", True),
        ("", "a", False),
        ("*", "", False),
    ],
)
def test_a_star_is_one_word_and_a_hash_any_number(pattern: str, key: str, matches: bool) -> None:
    assert key_matches(pattern, key) is matches


def test_a_new_binding_counts_for_keys_that_were_routed_before() -> None:
    router: Router[str] = Router()
    router.declare(Exchange("e", "direct"))
    assert router.queues_for("e", "k") == ()

    router.bind(Binding("e", "q", "k"), "q")
    assert router.queues_for("e", "k") == ("q",)

    router.unbind("q")
    assert router.queues_for("e", "k") == ()


def test_an_exchange_cannot_change_its_kind() -> None:
    router: Router[str] = Router()
    router.declare(Exchange("e", "direct"))
    router.declare(Exchange("e", "direct"))

    with pytest.raises(BusError, match="exists as direct, not as fanout"):
        router.declare(Exchange("e", "fanout"))
