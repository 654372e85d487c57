"""A worker process of the load test: ``python -m lab.load.worker``, which the parent starts.

It is told what to do through its standard input, and ends when that does: should the parent die,
its fleets leave the market all the same.
"""

from __future__ import annotations

import secrets
import sys
import threading
import time
from queue import SimpleQueue
from typing import IO

from energymarket import runtime, telemetry
from energymarket.bus.rabbit import RabbitBus
from energymarket.bus.rabbit_options import RabbitOptions
from energymarket.clock import SystemClock
from lab.load import wire
from lab.load.fleets import LoadFleets
from lab.load.pacing import Schedule


def run(commands_in: IO[bytes], samples_out: IO[bytes]) -> None:
    """Joins, orders as it is told, leaves."""
    told = wire.commands(commands_in)
    begin = next(told, None)
    if not isinstance(begin, wire.Begin):
        return
    log = telemetry.configure("load", level="warning", form="text", stream=sys.stderr)
    clock = SystemClock()
    bus = RabbitBus(
        url=begin.amqp_url,
        name="load",
        app_id="load",
        log=log,
        options=RabbitOptions(confirms=False),  # as a home: its receipts say that orders arrived
    )
    stop = runtime.StopRequest()
    stop.listen_to_signals()

    def report(sample: wire.Sample) -> None:
        try:
            wire.send(samples_out, sample)
        except OSError:  # the parent is gone
            stop.request()

    def refusal() -> str:
        trouble = bus.trouble
        return str(trouble) if trouble and trouble.lasting else ""

    fleets = LoadFleets(
        bus=bus,
        clock=clock,
        log=log,
        new_key=lambda: secrets.token_hex(16),
        instance=begin.instance,
        sizes=begin.sizes,
        homes_per_message=begin.homes_per_message,
        report=report,
        cpu_s=time.process_time,
        refusal=refusal,
    )
    service = _Commanded(fleets)

    def listen() -> None:
        for command in told:
            if isinstance(command, wire.Go):
                service.commands.put(command)
                bus.wake()
            else:
                break
        stop.request()

    threading.Thread(target=listen, name="commands", daemon=True).start()
    runtime.run_service(service, bus, clock, stop)


class _Commanded:
    """The fleets, told from another thread when to go."""

    def __init__(self, fleets: LoadFleets) -> None:
        self._fleets = fleets
        self.commands: SimpleQueue[wire.Go] = SimpleQueue()
        self.start, self.stop, self.handle = fleets.start, fleets.stop, fleets.handle

    @property
    def finished(self) -> bool:
        return self._fleets.finished

    def act(self) -> float | None:
        while not self.commands.empty():
            go = self.commands.get()
            self._fleets.go(Schedule(go.base_tick, go.last_tick, go.begin_at, go.pace_s))
        return self._fleets.act()


if __name__ == "__main__":
    runtime.main(lambda: run(sys.stdin.buffer, sys.stdout.buffer))
