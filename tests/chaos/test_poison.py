"""What nobody should send: it ends in the dead letters or is refused, and no tick is lost over it.

On the RabbitMQ that is installed, and on RabbitMQ 4 where there is a Docker engine for it.
"""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest

from energymarket.codec import MAX_BODY_BYTES, encode
from energymarket.messages import Leave, Message, Offers, TickAwaited
from energymarket.topology import (
    DEAD_QUEUE,
    DELIVERY_LIMIT,
    EXTERNAL,
    MEMBERSHIP,
    MEMBERSHIP_KEY,
    OFFERS,
    ORDERS_QUEUE,
    REQUESTS,
)
from tests.chaos.deadly_market import DEADLY
from tests.chaos.rig import PATIENCE_S, Rig

OF_EACH_KIND = 60
OVERSIZED = 3

pytestmark = pytest.mark.parametrize(
    "rig",
    ["installed", pytest.param("four", marks=[pytest.mark.compose, pytest.mark.long])],
    indirect=True,
)


def test_a_flood_of_rubbish_is_put_away_piece_by_piece_while_ticks_go_on(rig: Rig) -> None:
    """Each piece is refused once: one that came again and again would be counted each time."""
    run = rig.system.get("/run").json()["run"]
    fleet = next(name for name in rig.queues() if name.startswith("fleet.")).removeprefix("fleet.")
    probe = rig.probe()
    probe.channel.queue_purge(DEAD_QUEUE)
    luck = random.Random(42)
    expected: Counter[str] = Counter()
    for _ in range(OF_EACH_KIND):
        for reason, body in rubbish(luck, run, fleet).items():
            exchange = luck.choice((OFFERS, REQUESTS))
            probe.publish(exchange, f"home.{fleet}", body)
            expected[reason] += 1
        probe.publish(MEMBERSHIP, MEMBERSHIP_KEY, encode(Leave(run=run, fleet=fleet, secret="no")))
        expected["wrong_secret"] += 1
    for _ in range(OVERSIZED):
        probe.publish(OFFERS, "home.x", b" " * (MAX_BODY_BYTES + 1))
        expected["oversized"] += 1
    sent_s = time.monotonic()

    rig.until("all to be refused", lambda: refused(rig, expected) >= expected)

    rig.recovers("flood of rubbish", since_s=sent_s)
    assert refused(rig, expected) == expected
    dead = Counter(found.headers["x-reason"] for found in probe.take(DEAD_QUEUE))
    answered = {"unknown_fleet", "wrong_run", "not_your_home"}
    assert dead == {reason: n for reason, n in expected.items() if reason not in answered}
    assert rig.queues()[ORDERS_QUEUE][0] < OF_EACH_KIND  # none of it is left there
    probe.close([])


def rubbish(luck: random.Random, run: str, fleet: str) -> dict[str, bytes]:
    """Bodies by the reason for which they are to be refused."""
    noise = luck.randbytes(luck.randrange(1, 2_000))
    cut = encode(orders(run, fleet))[: luck.randrange(1, 100)]
    awaited = TickAwaited(run=run, epoch=1, seed=42, tick=1, missing=[])
    sent: dict[str, Message] = {
        "wrong_secret": orders(run, fleet),
        "unknown_fleet": orders(run, f"stranger-{luck.getrandbits(32)}"),
        "wrong_run": orders("another-run", fleet),
        "unexpected": awaited,
    }
    return {"malformed": luck.choice((noise, cut, b"[" * 200_000, b"NaN"))} | {
        reason: encode(message) for reason, message in sent.items()
    }


def orders(run: str, fleet: str) -> Offers:
    """An offer of home 1 for tick 1 by somebody who does not know the secret."""
    return Offers(
        run=run,
        fleet=fleet,
        secret="guessed",
        tick=1,
        home=[1],
        policy=[1],
        amount_wh=[0],
        produced_wh=[0],
        consumed_wh=[0],
        stock_wh=[0],
        capacity_wh=[0],
    )


def refused(rig: Rig, reasons: Counter[str]) -> Counter[str]:
    """How often the market has refused something, by reason."""
    name = "energymarket_messages_refused_total"
    return Counter({reason: int(rig.metric(name, reason=reason)) for reason in reasons})


def test_what_kills_the_market_each_time_ends_in_the_dead_letters_and_ticks_go_on(rig: Rig) -> None:
    """One in each queue that the market reads. What it held besides dies with them and is said
    again, so that nothing is missing in the end."""
    probe = rig.probe()
    probe.channel.queue_purge(DEAD_QUEUE)
    probe.publish(OFFERS, "home.x", DEADLY)
    probe.publish(EXTERNAL, "", DEADLY)
    deaths, deadly = 0, Counter[str]()
    deadline_s = time.monotonic() + 4 * PATIENCE_S
    while deadly.total() < 2:
        assert time.monotonic() < deadline_s, f"{deaths} deaths, {rig.queues()}"
        if not rig.market.running:
            deaths += 1
            assert deaths <= 3 * DELIVERY_LIMIT, "it loops"
            rig.start_market()
        time.sleep(0.02)
        for found in probe.take(DEAD_QUEUE):
            if found.body == DEADLY:
                deadly[found.headers["x-first-death-queue"]] += 1
                assert found.headers["x-first-death-reason"] == "delivery_limit"

    print(f"dead after {deaths} deaths")
    assert deaths >= DELIVERY_LIMIT
    if not rig.market.running:
        rig.start_market()
    rig.recovers("poison gone")
    assert rig.market.running
    probe.close([])
