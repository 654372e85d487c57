"""What a simulation is to go through: the size of its world, and how likely each fault is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from random import Random

from services.market.tick_cycle import Tempo


@dataclass(frozen=True, slots=True)
class Faults:
    """How often the bus misbehaves: per message; ``reorder`` and ``disconnect`` per poll."""

    drop: float = 0.03
    double: float = 0.03
    delay: float = 0.05
    lose_confirm: float = 0.03
    reorder: float = 0.1
    disconnect: float = 0.01


SOME_FAULTS = Faults()
NO_FAULTS = Faults(0, 0, 0, 0, 0, 0)

STRICT = Tempo(tick_s=0, deadline_s=0)
WITH_DEADLINE = Tempo(tick_s=1, deadline_s=4, lease_s=15)


@dataclass(frozen=True, slots=True)
class Plan:
    """A strict world: no deadline, so that every seed ends in the same ledger.

    Probabilities are per step of any process, ``kill_at_step`` per named step of the market,
    ``ledger_*`` per access to the ledger.
    """

    homes: int = 4
    ticks: int = 8
    """As long as these last there are faults; ``calm_ticks`` more are settled without."""
    calm_ticks: int = 0
    seed: int = 42
    tempo: Tempo = STRICT
    faults: Faults = SOME_FAULTS
    kill: float = 0.01
    stay_down: float = 0.2
    """That a process which was killed is not started again at once, but after up to 20 s."""
    kill_at_step: float = 0.02
    second_market: float = 0.003
    forget_queues: float = 0.001
    clock_jump: float = 0.003
    old_order: float = 0.01
    """That an order of a settled tick comes once more, as it was or altered."""
    store_fault: float = 0.05
    store_emptied: float = 0.005
    ledger_write_refused: float = 0.02
    ledger_commit_refused: float = 0.02
    ledger_read_refused: float = 0.005
    killed_after_write: float = 0.01

    @property
    def all_ticks(self) -> int:
        """How many are settled in the whole run."""
        return self.ticks + self.calm_ticks

    def calm(self) -> Plan:
        """The same world without a fault."""
        return replace(
            self,
            faults=NO_FAULTS,
            kill=0,
            stay_down=0,
            kill_at_step=0,
            second_market=0,
            forget_queues=0,
            clock_jump=0,
            old_order=0,
            store_fault=0,
            store_emptied=0,
            ledger_write_refused=0,
            ledger_commit_refused=0,
            ledger_read_refused=0,
            killed_after_write=0,
        )


@dataclass(frozen=True, slots=True)
class ElasticPlan(Plan):
    """A strict world whose members come, go, and come back in another size.

    Probabilities are per call of a home.
    """

    homes: int = 3
    ticks: int = 8
    calm_ticks: int = 12
    most_fleets: int = 6
    leave: float = 0.006
    join: float = 0.008
    resize: float = 0.004
    """That a home process ends, with a word or without, and comes back with another number of
    homes."""

    def calm(self) -> ElasticPlan:
        """The same world without a fault, and with nobody coming or going."""
        calm = Plan.calm(self)
        assert isinstance(calm, ElasticPlan)
        return replace(calm, leave=0, join=0, resize=0)


@dataclass(frozen=True, slots=True)
class DeadlinePlan(ElasticPlan):
    """A world with a pace and a deadline, whose members sleep and dawdle too."""

    ticks: int = 12
    calm_ticks: int = 14
    tempo: Tempo = WITH_DEADLINE
    store_emptied: float = 0.1
    sleep_at_start: float = 0.3
    """That weather, or external, is not there for the first 5 to 60 s."""
    sleep: float = 0.004
    """That a process is not called for 3 to 40 s, as when its machine was suspended."""
    dawdle: float = 0.004
    """That a home is called only now and then for 3 to 30 s."""
    vanish: float = 0.002
    """That a home dies for 5 to 60 s, or for ever."""
    resize: float = 0.002

    def calm(self) -> DeadlinePlan:
        """The same world without a fault, and with nobody coming or going."""
        calm = ElasticPlan.calm(self)
        assert isinstance(calm, DeadlinePlan)
        return replace(calm, sleep=0, dawdle=0, vanish=0)


@dataclass(slots=True)
class Fate:
    """What decides all faults of a simulation, and counts them; ``plan`` changes when they stop."""

    luck: Random
    plan: Plan
    happened: Counter[str] = field(default_factory=Counter)

    def strikes(self, probability: float, what: str) -> bool:
        """Draws whether a fault happens now, and counts it under ``what``."""
        if self.luck.random() >= probability:
            return False
        self.happened[what] += 1
        return True
