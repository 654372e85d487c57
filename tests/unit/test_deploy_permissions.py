"""Who may do what on the broker and in Redis: what the topology needs, and no more (R25)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from energymarket import topology, weather_store
from energymarket.topology import Topology
from tests.deployment import DEPLOY

PUBLISHES = {
    "market": {topology.TICKS, topology.OPENINGS, topology.RECEIPTS, topology.DEAD},
    "home": {topology.OFFERS, topology.REQUESTS, topology.MEMBERSHIP, topology.DEAD},
    "weather": {topology.DEAD},
    "external": {topology.EXTERNAL, topology.DEAD},
    "load": {topology.OFFERS, topology.REQUESTS, topology.MEMBERSHIP, topology.DEAD},
}
TOPOLOGIES: dict[str, Callable[[], Topology]] = {
    "market": lambda: topology.market_topology(100),
    "home": lambda: topology.fleet_topology("0af3"),
    "weather": lambda: topology.listener_topology("weather", "0af3"),
    "external": lambda: topology.listener_topology("external", "0af3"),
    "load": lambda: topology.fleet_topology("0af3"),
}
ALSO_READS = {"home": {topology.TICKS}}
"""Ours do without; a home that somebody else wrote may well listen to the ticks."""
STRANGERS = {
    "",
    "amq.topic",
    "other",
    "energymarket.ticks.more",
    "energymarketXticks",
    "my.energymarket.ticks",
    "market.orders.more",
    "my.market.orders",
    "my.fleet.0af3",
    "fleetX0af3",
    "my.weather.0af3",
    "my.external.0af3",
}


@dataclass(frozen=True)
class Needs:
    """Names on the broker that a user must be able to configure, write and read."""

    configure: frozenset[str]
    write: frozenset[str]
    read: frozenset[str]


def needs_of(user: str) -> Needs:
    """What RabbitMQ asks for, by operation (rabbitmq.com/docs/access-control).

    Binding writes the queue and reads the exchange; declaring a queue that dead-letters reads the
    queue and writes the exchange of the dead; a passive declaration needs nothing.
    """
    wanted = TOPOLOGIES[user]()
    dead_lettering = [queue for queue in wanted.queues if queue.dead_letter_exchange]
    return Needs(
        configure=frozenset(e.name for e in wanted.exchanges)
        | frozenset(q.name for q in wanted.queues),
        write=frozenset(PUBLISHES[user])
        | frozenset(b.queue for b in wanted.bindings)
        | frozenset(q.dead_letter_exchange or "" for q in dead_lettering),
        read=frozenset(wanted.consumes)
        | frozenset(b.exchange for b in wanted.bindings)
        | frozenset(q.name for q in dead_lettering)
        | frozenset(ALSO_READS.get(user, ())),
    )


def every_name() -> set[str]:
    """All names that the system uses, and some that it does not."""
    names = set(STRANGERS)
    for make in TOPOLOGIES.values():
        wanted = make()
        names |= {exchange.name for exchange in wanted.exchanges}
        names |= {queue.name for queue in wanted.queues}
    return names


def definitions() -> dict[str, Any]:
    """The broker's definitions, passwords not filled in."""
    template = (DEPLOY / "rabbitmq" / "definitions.json.template").read_text()
    loaded: dict[str, Any] = json.loads(template)
    return loaded


def permissions_of(user: str) -> dict[str, str]:
    """The three patterns of a user in the virtual host ``energymarket``."""
    (found,) = [p for p in definitions()["permissions"] if p["user"] == user]
    assert found["vhost"] == "energymarket"
    return {kind: found[kind] for kind in ("configure", "write", "read")}


def matched(pattern: str) -> set[str]:
    """The names that a pattern lets through; the broker searches, it does not anchor."""
    return {name for name in every_name() if re.search(pattern, name)}


@pytest.mark.parametrize("kind", ["configure", "write", "read"])
@pytest.mark.parametrize("user", TOPOLOGIES)
def test_a_service_may_do_what_its_topology_needs_and_nothing_else(user: str, kind: str) -> None:
    """R25."""
    assert matched(permissions_of(user)[kind]) == set(getattr(needs_of(user), kind))


def test_there_is_one_user_per_service_and_one_who_only_looks() -> None:
    """R25: no guest, no administrator."""
    tags = {user["name"]: user["tags"] for user in definitions()["users"]}
    assert tags == {**{user: [] for user in TOPOLOGIES}, "viewer": ["monitoring"]}
    assert permissions_of("viewer") == {"configure": "^$", "write": "^$", "read": "^$"}
    assert [vhost["name"] for vhost in definitions()["vhosts"]] == ["energymarket"]


@pytest.mark.parametrize("user", ["home", "load"])
def test_a_home_publishes_orders_under_the_keys_of_homes_only(user: str) -> None:
    """R25: on the topic exchanges, which are those that ask for the key."""
    topics = {e.name for e in topology.market_topology(100).exchanges if e.kind == "topic"}
    restricted = definitions()["topic_permissions"]
    assert {t["exchange"] for t in restricted if t["user"] == user} == topics
    for each in restricted:
        assert re.search(each["write"], topology.order_key("0af3"))
        assert not re.search(each["write"], topology.MEMBERSHIP_KEY)
        assert not re.search(each["write"], "my.home.0af3")


def acl() -> dict[str, list[str]]:
    """Redis users and their rules."""
    lines = (DEPLOY / "redis" / "users.acl.template").read_text().splitlines()
    rules = [line.split() for line in lines if line.startswith("user ")]
    return {rule[1]: rule[2:] for rule in rules}


def test_the_default_user_of_redis_is_off() -> None:
    """R20."""
    assert acl()["default"] == ["off", "resetpass", "resetkeys", "resetchannels", "-@all"]
    assert set(acl()) == {"default", "weather", "market", "health"}


def test_weather_writes_its_keys_the_market_reads_them_and_nobody_does_more() -> None:
    """R20."""
    writes = {"+get", "+set", "+del", "+hset", "+hdel", "+hkeys", "+watch", "+unwatch"}
    assert {r for r in acl()["weather"] if r.startswith("+")} == writes | {
        "+multi",
        "+exec",
        "+ping",
    }
    reads = {"+get", "+hgetall", "+multi", "+exec", "+ping"}
    assert {r for r in acl()["market"] if r.startswith("+")} == reads
    assert [r for r in acl()["weather"] if "~" in r] == ["~weather:*"]
    assert [r for r in acl()["market"] if "~" in r] == ["%R~weather:*"]
    for key in (weather_store.CURRENT_KEY, weather_store.TICKS_KEY, weather_store.RUN_KEY):
        assert key.startswith("weather:")


def test_whoever_asks_for_redis_health_can_do_nothing_else() -> None:
    """R20: this user has no password."""
    rules = acl()["health"]
    assert "nopass" in rules
    assert [r for r in rules if r.startswith("+") or "~" in r] == ["+ping"]


@pytest.mark.parametrize("user", ["weather", "market", "health"])
def test_every_user_of_redis_begins_with_nothing(user: str) -> None:
    """R20: rules count from left to right."""
    rules = acl()[user]
    assert rules.index("-@all") < min(i for i, r in enumerate(rules) if r.startswith("+"))
    assert not any(r.startswith(("+@", "allkeys", "allcommands", "&")) for r in rules)
