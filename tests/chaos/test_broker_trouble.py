"""Whatever happens to the broker, ticks go on by themselves and the ledger stays what it was.

One system runs through all of it, so what a trouble leaves behind is the next one's trouble too.
"""

from __future__ import annotations

import time

import pytest

from energymarket.topology import (
    DEAD,
    DEAD_QUEUE,
    EXTERNAL,
    EXTERNAL_QUEUE,
    MEMBERSHIP,
    OFFERS,
    ORDERS_QUEUE,
    RECEIPTS,
    REQUESTS,
    TICKS,
)
from tests.chaos.rig import Rig
from tests.servers import VHOST

ALARMS = {
    "memory": ("set_vm_memory_high_watermark", "0.000001", "0.4"),
    "disk": ("set_disk_free_limit", "100000GB", "10MB"),
}


@pytest.mark.parametrize("kind", ALARMS)
def test_ticks_rest_during_an_alarm_and_go_on_after_it(rig: Rig, kind: str) -> None:
    command, set_off, calm_down = ALARMS[kind]
    blocked = rig.said("market", "the broker has stopped reading")
    again = rig.said("market", "the broker reads again")
    rig.ctl(command, set_off)
    try:
        rig.until(
            "the market to say that it is blocked",
            lambda: rig.said("market", "the broker has stopped reading") > blocked,
        )
        before = rig.tick()
        time.sleep(1)
        assert rig.tick() <= before + 1
    finally:
        rig.ctl(command, calm_down)
    rig.recovers(f"{kind} alarm")
    assert rig.said("market", "the broker reads again") > again
    assert rig.said("market", "no word from the broker") == 0  # nobody took it for dead


# -------------------------------------------------------------------------- the broker goes away


def test_ticks_go_on_after_the_broker_was_killed_and_started(rig: Rig) -> None:
    rig.rabbit.restart()
    rig.recovers("broker killed and started")


def test_ticks_go_on_after_the_broker_lost_all_its_data(rig: Rig) -> None:
    rig.rabbit.lose()
    rig.recovers("broker started without its data")


def test_ticks_go_on_after_the_broker_closed_every_connection(rig: Rig) -> None:
    rig.ctl("close_all_connections", "maintenance")
    rig.recovers("every connection closed by the broker")


# --------------------------------------------------------------------------- what is taken away


@pytest.mark.parametrize("queues", [[ORDERS_QUEUE], [EXTERNAL_QUEUE, DEAD_QUEUE], ["fleet."]])
def test_ticks_go_on_after_queues_were_deleted(rig: Rig, queues: list[str]) -> None:
    there = rig.queues()
    for queue in queues:
        name = next(each for each in there if each.startswith(queue))
        rig.ctl("delete_queue", "-p", VHOST, name)
    rig.recovers(f"deleted: {', '.join(queues)}")
    rig.until("the queues to be there again", lambda: set(queues) <= prefixes(rig.queues()))


def prefixes(names: dict[str, tuple[int, int]]) -> set[str]:
    return {"fleet." if name.startswith("fleet.") else name for name in names}


@pytest.mark.parametrize(
    "exchanges", [[TICKS], [RECEIPTS], [OFFERS, REQUESTS, MEMBERSHIP, EXTERNAL, DEAD]]
)
def test_ticks_go_on_after_exchanges_were_deleted(rig: Rig, exchanges: list[str]) -> None:
    probe = rig.probe()
    for exchange in exchanges:
        probe.channel.exchange_delete(exchange)
    rig.recovers(f"deleted: {', '.join(exchanges)}")
    rig.until(
        "the exchanges to be there again",
        lambda: set(exchanges) <= set(rig.ctl("list_exchanges", "-q", "-p", VHOST).split()),
    )
    probe.close([])


def test_ticks_go_on_after_the_queue_of_orders_was_unbound(rig: Rig) -> None:
    """Orders that no queue takes, and nobody hears of it: the market binds its queue again."""
    probe = rig.probe()
    for exchange in (OFFERS, REQUESTS):
        probe.channel.queue_unbind(ORDERS_QUEUE, exchange, "home.*")
    rig.recovers("orders unroutable")
    probe.close([])


# ---------------------------------------------------------------------------- half-open connections


@pytest.mark.parametrize("services", [["market"], ["home-0", "weather", "external"]])
def test_ticks_go_on_after_connections_were_forgotten_on_their_way(
    rig: Rig, services: list[str]
) -> None:
    """Both ends have a connection, and neither hears the other; new ones get through.

    The broker goes on for half a minute to give messages to the connection that is dead.
    """
    names = [service.partition("-")[0] for service in services]
    lost = {name: rig.said(name, "no word from the broker") for name in names}
    for service in services:
        rig.wires[service].forget()
    forgotten_s = time.monotonic()
    rig.until(
        "the silence to be noticed",
        lambda: all(rig.said(name, "no word from the broker") > lost[name] for name in names),
    )
    print(f"noticed after {time.monotonic() - forgotten_s:.1f} s")
    rig.recovers(f"half open: {', '.join(services)}", since_s=forgotten_s)


# ------------------------------------------------------------------------------------ the store


def test_ticks_go_on_after_redis_was_restarted_empty(rig: Rig) -> None:
    rig.redis.stop()
    rig.redis.start()
    rig.recovers("Redis empty")
    rig.wait_for_ticks(40)  # further than any forecast that the market still held
    rig.the_books_are_right()
