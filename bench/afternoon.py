"""The peer of the distributed run: the same homes and market, as written in an afternoon.

``python -m bench.afternoon market|home`` is one of its processes; one of homes may play several,
each with orders of its own. pika's ``BlockingConnection`` and
its callbacks, ``json``, one message per order, acknowledged one by one, one ledger transaction per
order in a SQLite database as it comes (rollback journal, synced). It is spared what makes the
real one safe: publications are not confirmed, no receipt is stored, nobody sends anything again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from typing import Any

import pika  # type: ignore[import-untyped]  # it has annotations, but no py.typed

from bench.bare_loop import AMQP_URL, HOMES, LEDGER

HOMES_EACH = "BENCH_HOMES_EACH"
"""How many homes a process of homes plays; one, if it is not told."""

TICKS, ORDERS = "afternoon.ticks", "afternoon.orders"


def main(role: str) -> None:
    """Plays ``role`` until it is killed; where and how large comes from the environment."""
    connection = pika.BlockingConnection(pika.URLParameters(os.environ[AMQP_URL]))
    channel = connection.channel()
    channel.exchange_declare(TICKS, "fanout")
    channel.queue_declare(ORDERS, durable=True)
    if role == "market":
        _Market(channel, int(os.environ[HOMES]), os.environ[LEDGER]).run()
    else:
        _Homes(channel, int(os.environ.get(HOMES_EACH, "1"))).run()


class _Homes:
    """Order when a tick opens; take note of their receipts."""

    def __init__(self, channel: Any, homes: int) -> None:
        self._channel = channel
        self._queue = channel.queue_declare("", exclusive=True).method.queue
        self._stock_kwh = [0.0] * homes

    def run(self) -> None:
        self._channel.queue_bind(self._queue, TICKS)
        self._channel.basic_consume(self._queue, self._on_message)
        self._order(0)
        self._channel.start_consuming()

    def _order(self, tick: int) -> None:
        for home, stock_kwh in enumerate(self._stock_kwh):
            order = {
                "queue": self._queue,
                "home": home,
                "tick": tick,
                "amount_kwh": 1.25,
                "stock": stock_kwh,
            }
            self._channel.basic_publish(
                "", ORDERS, json.dumps(order), pika.BasicProperties(delivery_mode=2)
            )

    def _on_message(self, channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        message = json.loads(body)
        if message["type"] == "opened":
            self._order(message["tick"])
        elif message["type"] == "receipt":
            self._stock_kwh[message["home"]] = message["stock_kwh"]
        channel.basic_ack(method.delivery_tag)


class _Market:
    """Opens tick 1 when every home has said hello (an order for tick 0), then one after another."""

    def __init__(self, channel: Any, homes: int, ledger: str) -> None:
        self._channel, self._homes = channel, homes
        self._tick = self._orders = 0
        self._database = sqlite3.connect(ledger)
        self._database.execute("CREATE TABLE ticks (tick INTEGER PRIMARY KEY, at REAL)")
        self._database.execute("CREATE TABLE orders (tick INTEGER, home TEXT, amount_kwh REAL)")

    def run(self) -> None:
        self._channel.basic_consume(ORDERS, self._on_order)
        self._channel.start_consuming()

    def _on_order(self, channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        order = json.loads(body)
        home = order["home"]
        row = (order["tick"], f"{order['queue']}/{home}", order["amount_kwh"])
        self._database.execute("INSERT INTO orders VALUES (?, ?, ?)", row)
        self._database.commit()
        receipt = {"type": "receipt", "home": home, "tick": order["tick"], "stock_kwh": 1.5}
        self._say(order["queue"], receipt)
        channel.basic_ack(method.delivery_tag)
        self._orders += 1
        if self._orders == self._homes:
            self._close_tick()

    def _close_tick(self) -> None:
        if self._tick:
            self._database.execute("INSERT INTO ticks VALUES (?, ?)", (self._tick, time.time()))
            self._database.commit()
            self._broadcast({"type": "settled", "tick": self._tick, "price": 0.21})
        self._orders = 0
        self._tick += 1
        self._broadcast({"type": "opened", "tick": self._tick, "price": 0.21, "temperature": 12.3})

    def _broadcast(self, message: dict[str, Any]) -> None:
        self._channel.basic_publish(TICKS, "", json.dumps(message))

    def _say(self, queue: str, message: dict[str, Any]) -> None:
        self._channel.basic_publish("", queue, json.dumps(message))


if __name__ == "__main__":
    main(sys.argv[1])
