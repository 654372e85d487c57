"""The simulation of a world with deadlines: members come, go, sleep and dawdle, inputs fall silent.

The clock has a say there, so that no two such worlds end alike. What holds in all of them: ticks go
on within a bound of simulated time, whatever is stored replays, nobody is told anything else than
the ledger says, and when the faults are over everybody takes part again.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from services.home.service import HomeService
from services.market.domain.settlement import ABSENT
from services.market.service import MarketService
from services.market.tick_cycle import Tempo
from tests.chaos.plan import DeadlinePlan
from tests.chaos.simulation import Process, Simulation
from tests.chaos.witness import Broken

_MOST_STEPS = 20_000
_STEP_S = 1.0
"""Between two calls of the same process, so many seconds pass at most times."""
_ANCHOR = "home-0"
"""Never away for long, so that there is always somebody to trade."""


class DeadlineSimulation(Simulation):
    """One seeded run of ``plan.ticks`` ticks with faults and ``plan.calm_ticks`` without."""

    def __init__(self, seed: int, plan: DeadlinePlan) -> None:
        self._elastic = plan
        self._excused_s = 0.0
        self._homes_made = plan.homes
        super().__init__(seed, plan)
        self._begun_at = self.clock.time_s
        for process in self.others:
            if process.kind in ("weather", "external") and self.luck.random() < plan.sleep_at_start:
                process.asleep_until = self.clock.time_s + self.luck.uniform(5, 60)

    def _tempo(self) -> Tempo:
        plan = self._elastic
        last = plan.ticks + plan.calm_ticks
        return replace(plan.tempo, start_homes=plan.homes, max_ticks=last)

    # --------------------------------------------------------------------------------- running

    def run(self) -> bytes:
        """Until the last tick is settled; raises at the first promise that is broken."""
        plan = self._elastic
        last = plan.ticks + plan.calm_ticks
        try:
            self._run_until_tick(1, _MOST_STEPS)
            self._begun_at, self._excused_s = self.clock.time_s, 0.0
            self._run_until_tick(plan.ticks, _MOST_STEPS)
            self._calm_down()
            self._run_until_tick(last, _MOST_STEPS)
            self._let_the_last_receipts_arrive()
            self._check_the_last_tick()
            for process in self.markets:
                self._end(process)
            self._count_what_happened()
            return self.disk.verify()
        finally:
            self.disk.close()

    def step(self) -> None:
        super().step()
        taken_s = self.clock.time_s - self._begun_at
        if self.disk.tick and taken_s > self._bound_s():
            raise Broken(f"tick {self.disk.tick + 1} is not settled after {taken_s:.0f} s")

    def _bound_s(self) -> float:
        """A tick waits one deadline for inputs, one for orders, and its pace; whatever befell the
        market has its own excuse, after which it may begin to wait anew."""
        tempo = self.plan.tempo
        longest_tick_s = 2 * tempo.deadline_s + tempo.tick_s + 3 * _STEP_S
        return self.disk.tick * longest_tick_s + longest_tick_s + self._excused_s

    def _excuse(self, lost_s: float) -> None:
        self._excused_s += lost_s + 2 * self.plan.tempo.deadline_s + 3 * _STEP_S

    # ---------------------------------------------------------------------------------- faults

    def _fault(self, process: Process) -> bool:
        if super()._fault(process):
            return True
        plan = self.fate.plan
        assert isinstance(plan, DeadlinePlan)
        if not self.disk.tick or process.name == _ANCHOR:
            return False
        if self.fate.strikes(plan.sleep, f"{process.kind} slept"):
            seconds = self.luck.uniform(3, 15 if process.kind == "market" else 40)
            process.asleep_until = self.clock.time_s + seconds
            if process.kind == "market":
                self._excuse(seconds)
            return True
        return process.kind == "home" and self._fault_of_home(process, plan)

    def _fault_of_home(self, home: Process, plan: DeadlinePlan) -> bool:
        fate, luck, now = self.fate, self.luck, self.clock.time_s
        if fate.strikes(plan.dawdle, "home dawdled"):
            home.slow_until = now + luck.uniform(3, 30)
        fleets = sum(1 for process in self.others if process.kind == "home")
        if fleets < plan.most_fleets and fate.strikes(plan.join, "home joined"):
            self._add_another_home()
        if fate.strikes(plan.vanish, "home vanished"):
            self._end(home)
        elif fate.strikes(plan.resize, "home came back in another size"):
            self._end(home)
            home.make = partial(self._make_home, luck.randint(1, 3))
            return True
        elif fate.strikes(plan.leave, "home left"):
            assert home.service is not None
            home.service.stop()
            self._end(home)
            self._fault_of_market_after_a_leave(fleets < plan.most_fleets)
        else:
            return False
        if fate.strikes(0.3, "home never came back"):
            self.others.remove(home)
        else:
            home.asleep_until = now + luck.uniform(5, 60)
        return True

    def _add_another_home(self) -> None:
        self._homes_made += 1
        self._add_home(f"home-{self._homes_made}", self.luck.randint(1, 3))

    def _fault_of_market_after_a_leave(self, room: bool) -> None:
        """The tick that was left is opened again, perhaps after somebody new has come."""
        if not self.fate.strikes(0.5, "market killed after a leave"):
            return
        for market in self.markets:
            if market.service is not None:
                self._call(market)
        for market in list(self.markets):
            if market.service is not None:
                self._kill(market)
        if room:
            self._add_another_home()

    def _call(self, process: Process) -> None:
        lost, refused = self._interruptions()
        super()._call(process)
        if process.kind == "market":
            lost_now, refused_now = self._interruptions()
            for _ in range(lost_now - lost):
                self._excuse(0)
            self._excused_s += 2.0 * (refused_now - refused)

    def _interruptions(self) -> tuple[int, int]:
        """How often (a connection was lost, the ledger has refused)."""
        happened = self.happened
        refused = sum(happened[f"ledger refused a {what}"] for what in ("read", "write", "commit"))
        return happened["connection lost"], refused

    def _end(self, process: Process) -> None:
        if process.kind == "market":
            self._excuse(0)
            if isinstance(process.service, MarketService):
                leaves = process.service.metrics.leaves
                lapsed = int(leaves.labels("silent beyond their lease")._value.get())
                self.happened["lease ran out"] += lapsed
        super()._end(process)

    def _kill(self, process: Process) -> None:
        super()._kill(process)
        if process.kind == "market":
            self._excuse(max(0.0, process.asleep_until - self.clock.time_s))

    def _forget_queues(self) -> None:
        super()._forget_queues()
        self._excuse(0)

    # ------------------------------------------------------------------------------- the end

    def _homes(self) -> list[HomeService]:
        return [p.service for p in self.others if isinstance(p.service, HomeService)]

    def _let_the_last_receipts_arrive(self) -> None:
        for _ in range(2_000):
            if all(home._settled_tick == self.disk.tick for home in self._homes()):
                break
            self.step()
        for home in self._homes():
            if home._settled_tick != self.disk.tick:
                raise Broken(f"{home._instance} never had its receipt of tick {self.disk.tick}")
            self.witness.check_home(home)

    def _check_the_last_tick(self) -> None:
        found = self.disk.settled(self.disk.tick)
        assert found is not None
        _, settled, row_of = found
        if settled.opening.degraded:
            raise Broken("the last tick is degraded, long after all inputs are back")
        members = self.disk.members()
        held = [home for homes in members.values() for home in homes]
        if len(held) != len(set(held)):
            raise Broken("two fleets hold the same home")
        for home in self._homes():
            if members.get(home._instance) != home.home_ids:
                raise Broken(f"{home._instance} believes in homes that are not its own")
            for number in home.home_ids:
                row = row_of.get(number)
                if row is None or settled.orders.policy[row] == ABSENT:
                    raise Broken(f"home {number} is still absent, long after its process is back")

    def _count_what_happened(self) -> None:
        """What the clock decided, for the tests to see that it had something to decide."""
        for tick in range(1, self.disk.tick + 1):
            found = self.disk.settled(tick)
            assert found is not None
            _, settled, _ = found
            self.happened["home absent"] += settled.absent
            self.happened["tick without weather"] += settled.opening.degraded & 1
            self.happened["tick without external"] += settled.opening.degraded >> 1
            self.happened["late receipt"] += self.witness.late.pop(tick, 0)
