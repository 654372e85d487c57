"""The simulation of a world with deadlines: members come, go, sleep and dawdle, inputs fall silent.

The clock has a say there, so that no two such worlds end alike. What holds in all of them: ticks go
on within a bound of simulated time, whatever is stored replays, nobody is told anything else than
the ledger says, and when the faults are over everybody takes part again.
"""

from __future__ import annotations

from collections import Counter

from services.market.service import MarketService
from tests.chaos.elastic import ANCHOR, ElasticSimulation
from tests.chaos.plan import DeadlinePlan
from tests.chaos.simulation import Process
from tests.chaos.witness import Broken

_MOST_STEPS = 20_000
_STEP_S = 1.0
"""Between two calls of the same process, so many seconds pass at most times."""


class DeadlineSimulation(ElasticSimulation):
    """One seeded run of ``plan.ticks`` ticks with faults and ``plan.calm_ticks`` without."""

    def __init__(self, seed: int, plan: DeadlinePlan) -> None:
        self._plan = plan
        self._excused_s = 0.0
        super().__init__(seed, plan)
        self._begun_at = self.clock.time_s
        for process in self.others:
            if process.kind in ("weather", "external") and self.luck.random() < plan.sleep_at_start:
                process.asleep_until = self.clock.time_s + self.luck.uniform(5, 60)

    # --------------------------------------------------------------------------------- running

    def run(self) -> bytes:
        """Until the last tick is settled; raises at the first promise that is broken."""
        plan = self._plan
        try:
            self._run_until_tick(1, _MOST_STEPS)
            self._begun_at, self._excused_s = self.clock.time_s, 0.0
            self._run_until_tick(plan.ticks, _MOST_STEPS)
            self._calm_down()
            self._run_until_tick(plan.all_ticks, _MOST_STEPS)
            self._check_the_end()
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
        plan, fate, luck = self.fate.plan, self.fate, self.luck
        assert isinstance(plan, DeadlinePlan)
        if not self.disk.tick or process.name == ANCHOR:
            return False
        if fate.strikes(plan.sleep, f"{process.kind} slept"):
            seconds = luck.uniform(3, 15 if process.kind == "market" else 40)
            process.asleep_until = self.clock.time_s + seconds
            if process.kind == "market":
                self._excuse(seconds)
            return True
        if process.kind != "home":
            return False
        if fate.strikes(plan.dawdle, "home dawdled"):
            process.slow_until = self.clock.time_s + luck.uniform(3, 30)
        if not fate.strikes(plan.vanish, "home vanished"):
            return False
        self._end(process)
        if fate.strikes(0.3, "home never came back"):
            self._dismiss(process, self.others)
        else:
            process.asleep_until = self.clock.time_s + luck.uniform(5, 60)
        return True

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

    def _check_the_end(self) -> None:
        super()._check_the_end()
        found = self.disk.settled(self.disk.tick)
        assert found is not None
        if found[1].opening.degraded:
            raise Broken("the last tick is degraded, long after all inputs are back")

    def _check_absences(self, absences: Counter[int]) -> None:
        """Any home may be too late for any tick."""

    def _count_what_happened(self) -> None:
        """What the clock decided, for the tests to see that it had something to decide."""
        for tick in range(1, self.disk.tick + 1):
            found = self.disk.settled(tick)
            assert found is not None
            _, settled, _ = found
            self.happened["tick without weather"] += settled.opening.degraded & 1
            self.happened["tick without external"] += settled.opening.degraded >> 1
            self.happened["late receipt"] += self.witness.late.pop(tick, 0)
