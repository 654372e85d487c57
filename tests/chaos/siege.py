"""The real system under kills, stops and restarts that one integer decides.

RabbitMQ, Redis, market, weather, external and homes run as processes of this machine, without
a deadline. Each point of the schedule kills (SIGKILL) or stops (SIGSTOP, later SIGCONT) one of
them; what was killed is started again at once, as a supervisor would. However often that happens,
the ledger at the end is the one of an undisturbed run in one process, bit for bit (I7).

``python -m tests.chaos.siege SEED`` replays one seed as in CI, with ``long`` behind it as in the
long run. The schedule is the same then; the moments are those of a real machine.
"""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from energymarket.topology import DEAD_QUEUE, ORDERS_QUEUE
from lab.verify import verify
from services.external.service import HORIZON_TICKS
from services.market.checkpoints import (
    AFTER_COMMIT,
    BEFORE_COMMIT,
    FLEET_STORED,
    STEPS,
    TICK_COMPLETE,
)
from tests.chaos.doomed_market import met, pronounce
from tests.chaos.schedule import KINDS, STEP, Point, Round, schedule
from tests.home_logs import agreeing, missing_receipts, receipts_of, recorded
from tests.rabbit_probe import RabbitProbe
from tests.redis_server import RedisServer
from tests.servers import VHOST, RabbitServer
from tests.system.processes import ServiceProcess, System, system
from tests.system.test_embedded_run import head_hash, plan

HOMES = 4
HEARTBEAT_S = 2
PAUSE_S = {
    # The broker closes a connection that was silent for three of these, at the latest.
    **dict.fromkeys(("market", "home", "weather", "external"), 3.5 * HEARTBEAT_S),
    "broker": 2 * (HEARTBEAT_S + 5) + 1,  # pika gives up within two checks, each 5 s later
    "redis": 1.5,  # three times what a call waits
}
"""Longer than whoever waits for the process is ready to."""

PATIENCE_S = 180
"""Longer than any recovery takes on a slow machine. A bound against hanging, nothing else."""

_ORDERS_UNACKNOWLEDGED = (TICK_COMPLETE, BEFORE_COMMIT, AFTER_COMMIT)
"""Steps at which the orders of all homes are with the market, and still with the broker too."""

_TICKS_OF_A_RECOVERY = 3
_TICKS_AT_THE_END = 2 * HORIZON_TICKS
"""So many that what was lost of the forecast or the bulletins has been missed, and said again."""

IN_CI = {
    **{f"{STEP}{step}": 3 for step in STEPS},
    **{"market killed": 8, "home killed": 9, "weather killed": 5, "external killed": 5},
    **{"redis killed": 4, "broker killed": 1, "broker lost": 1},
    **{"redis paused": 2, "broker paused": 1},
    **{"market paused": 1, "home paused": 1, "weather paused": 1, "external paused": 1},
}
IN_THE_LONG_RUN = {
    **{f"{STEP}{step}": 50 for step in STEPS},
    **{"market killed": 150, "home killed": 170, "weather killed": 80, "external killed": 80},
    **{"redis killed": 60, "broker killed": 20, "broker lost": 12},
    **{"redis paused": 20, "broker paused": 10},
    **{"market paused": 12, "home paused": 12, "weather paused": 12, "external paused": 12},
}


class Siege:
    """One system, and what has befallen it so far."""

    def __init__(self, rabbit: RabbitServer, redis: RedisServer, running: System) -> None:
        self.happened: Counter[str] = Counter()
        self._rabbit, self._redis, self._running = rabbit, redis, running
        self._doom = running.folder / "doom"
        running.modules["market"] = "tests.chaos.doomed_market"
        self._asleep: list[tuple[float, Callable[[], None]]] = []
        self._broker_fails = False
        self._alive: dict[str, ServiceProcess] = {}
        self._given_up: dict[str, int] = {}  # whose connection must break: how many it had
        for name in (*(f"home-{n}" for n in range(HOMES)), "external", "weather", "market"):
            self._start(name)

    # ---------------------------------------------------------------------------------- running

    def run(self, rounds: list[Round]) -> str:
        """All rounds, then the proof: the ledger is whole, and the one that it must be, and says
        what the homes have heard."""
        for points in rounds:
            self._broker_fails = any("broker" in point.kind for point in points)
            for point in points:
                self._until(f"{point.after_s:.3f} s", _passed(point.after_s))
                self._strike(point)
            self._recover(_TICKS_OF_A_RECOVERY)
        self._recover(_TICKS_AT_THE_END)
        self._last_tick = self._running.tick()
        assert self._dead_letters() == 0, "an order or a bulletin was taken for poison"
        for name in ("market", "weather", "external", *(f"home-{n}" for n in range(HOMES))):
            self._check_alive(name)
            self._alive[name].stop()
        self._check_receipts()
        verdict = verify(self._running.ledger)
        expected = head_hash(plan(verdict.ticks, homes=HOMES))
        assert verdict.head_hash == expected, f"the ledger differs after {verdict.ticks} ticks"
        return f"{verdict.ticks} ticks, head hash {verdict.head_hash}"

    def _recover(self, ticks: int) -> None:
        """Until everybody is awake and connected, and so many more ticks are settled."""
        self._until("everybody to be awake", lambda: not self._asleep)
        for name, connections in self._given_up.items():
            process = self._alive[name]
            self._until(f"{name} to connect again", _connected_after(process, connections))
        self._given_up.clear()
        goal = 0

        def settled() -> bool:
            nonlocal goal
            tick = self._running.tick()
            goal = goal or (tick + ticks if tick >= 0 else 0)
            return 0 < goal <= tick

        self._until("ticks to be settled again", settled)

    def _until(self, what: str, true: Callable[[], bool]) -> None:
        """Wakes whoever has slept enough meanwhile, and sees that nobody dies of himself."""
        deadline = time.monotonic() + PATIENCE_S
        while not true():
            now = time.monotonic()
            assert now < deadline, f"waited {PATIENCE_S} s in vain for {what}\n{self._logs()}"
            for due, wake in [each for each in self._asleep if each[0] <= now]:
                self._asleep.remove((due, wake))
                wake()
            time.sleep(0.01)

    # --------------------------------------------------------------------------------- striking

    def _strike(self, point: Point) -> None:
        what, _, how = point.kind.partition(" ")
        name = f"home-{point.home % HOMES}" if what == "home" else what
        if point.kind.startswith(STEP):
            self._kill_at(point.kind.removeprefix(STEP), point)
        elif how == "lost":
            self._rabbit.lose()
        elif how == "killed":
            self._kill(name)
        else:
            self._pause(name)
        self.happened[point.kind] += 1

    def _kill_at(self, step: str, point: Point) -> None:
        """Has the market kill itself at a named step, and sees that it was there that it died."""
        market = self._alive["market"]
        self._check_alive("market")
        # A fleet is stored when a home process joins, so one of them has to come back.
        once = step == FLEET_STORED
        pronounce(self._doom, step, 1 if once else point.occurrence, point.linger_s)
        if once:
            self._kill(f"home-{point.home % HOMES}")
        self._until(f"the market's death at {step!r}", lambda: not market.running)
        assert met(self._doom).exists(), f"the market died elsewhere\n{self._logs()}"
        assert market.exit_code == -signal.SIGKILL, self._logs()
        if step in _ORDERS_UNACKNOWLEDGED and not self._broker_fails:
            self._check_orders()
        self._start("market")

    def _kill(self, name: str) -> None:
        if name == "broker":
            self._rabbit.restart()
        elif name == "redis":
            self._redis.kill()
            self._redis.start()
        else:
            self._check_alive(name)
            self._alive[name].kill()
            self._start(name)

    def _pause(self, name: str) -> None:
        kind = name.partition("-")[0]
        wake: Callable[[], None]
        if kind == "broker":
            self._rabbit.pause()
            wake = self._rabbit.resume
            self._given_up = {each: _connections(self._alive[each]) for each in self._alive}
        elif kind == "redis":
            self._redis.pause()
            wake = self._redis.resume
        else:
            self._check_alive(name)
            process = self._alive[name]
            process.signal(signal.SIGSTOP)
            wake = partial(process.signal, signal.SIGCONT)
            self._given_up[name] = _connections(process)
        self._asleep.append((time.monotonic() + PAUSE_S[kind], wake))

    def _start(self, name: str) -> None:
        url = f"{self._rabbit.url}?heartbeat={HEARTBEAT_S}"
        kind = name.partition("-")[0]
        if kind == "market":
            self._alive[name] = self._running.start(
                "market",
                amqp_url=url,
                doom=self._doom,
                start_homes=HOMES,
                tick_seconds=0,
                tick_deadline_seconds=0,
            )
        elif kind == "home":
            self._alive[name] = self._running.start("home", amqp_url=url, instance_id=name)
        else:
            self._alive[name] = self._running.start(kind, amqp_url=url)

    def _check_alive(self, name: str) -> None:
        process = self._alive[name]
        assert process.running, (
            f"{name} ended by itself with code {process.exit_code}\n{self._logs()}"
        )

    def _check_orders(self) -> None:
        """Nothing is acknowledged before its tick is in the ledger, and its receipts are out: the
        broker has every order again. Copies that homes have sent meanwhile do not count."""
        probe = RabbitProbe(self._rabbit.url)
        back: int | None = None

        def market_is_missed() -> bool:
            nonlocal back
            back = probe.given_back(ORDERS_QUEUE)
            return back is not None

        try:
            self._until("the broker to miss the market", market_is_missed)
        finally:
            probe.close([])
        assert back is None or back >= HOMES, f"of {HOMES} orders the broker has {back}"

    def _check_receipts(self) -> None:
        """No home has missed a receipt, or had one twice, and each says what the ledger says."""
        stored = recorded(self._running.ledger, range(1, self._last_tick + 1))
        agreed = 0
        for process in self._running.processes:
            if process.name == "home":
                text = process.text()
                missing = missing_receipts(text)
                assert not missing, f"{process.log.name} has no receipt between {missing}"
                agreed += agreeing(receipts_of(text), stored)
        assert agreed > HOMES * len(stored) / 2

    def _dead_letters(self) -> int:
        listed = self._rabbit.ctl("list_queues", "-p", VHOST, "--silent", "name", "messages")
        return int(dict(line.split() for line in listed.splitlines())[DEAD_QUEUE])

    def _logs(self) -> str:
        """The last lines of those who should be alive."""
        return "\n".join(
            f"--- {name} (exit code {process.exit_code})\n"
            + "\n".join(process.text().splitlines()[-8:])
            for name, process in self._alive.items()
        )


def _connections(process: ServiceProcess) -> int:
    """How often it has reached the broker."""
    return process.text().count("connected to the broker")


def _connected_after(process: ServiceProcess, connections: int) -> Callable[[], bool]:
    return lambda: _connections(process) > connections


def _passed(seconds: float) -> Callable[[], bool]:
    until = time.monotonic() + seconds
    return lambda: time.monotonic() >= until


def besiege(seed: int, counts: Mapping[str, int], folder: Path) -> tuple[Counter[str], str]:
    """A system of its own under the schedule of ``seed``: what happened, and how it ended.

    Raises ``AssertionError`` with the seed and the command that replays it.
    """
    rabbit, redis = RabbitServer(), RedisServer(folder)
    with ExitStack() as stack:
        stack.callback(rabbit.remove)
        stack.callback(redis.stop)
        rabbit.start()
        redis.start()
        running = stack.enter_context(system(rabbit, redis, folder))
        siege = Siege(rabbit, redis, running)
        try:
            ending = siege.run(schedule(seed, counts))
        except Exception as error:
            length = " long" if counts is IN_THE_LONG_RUN else ""
            raise AssertionError(
                f"seed {seed} ended wrong after {sum(siege.happened.values())} of "
                f"{sum(counts.values())} kill points: {error}\n"
                f"replay it: python -m tests.chaos.siege {seed}{length}"
            ) from error
    return siege.happened, ending


def main() -> None:
    """Replays one seed."""
    seed, counts = int(sys.argv[1]), IN_THE_LONG_RUN if "long" in sys.argv[2:] else IN_CI
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="energymarket-siege-") as folder:
        happened, ending = besiege(seed, counts, Path(folder))
    for kind in KINDS:
        print(f"{happened[kind]:>5}  {kind}")
    print(f"{sum(happened.values()):>5}  in {time.monotonic() - begun:.0f} s; {ending}")


if __name__ == "__main__":
    main()
