"""``python -m tests.chaos.simulator SEED`` replays one seed and says what happened in it.

With ``--elastic`` it is a world whose members come and go, with ``--deadline`` one whose ticks have
a deadline too; ``--trace`` prints every step.
"""

from __future__ import annotations

import argparse
import zlib
from functools import cache
from typing import Final

from tests.chaos.deadline import DeadlineSimulation
from tests.chaos.elastic import ElasticSimulation
from tests.chaos.plan import DeadlinePlan, ElasticPlan, Plan
from tests.chaos.simulation import Simulation


@cache
def without_faults(plan: Plan) -> bytes:
    """The head hash that every seed of a strict plan must reach (I7)."""
    return Simulation(0, plan.calm()).run()


def strict(seed: int) -> Simulation:
    """The simulation of a seed without a deadline; yet to be run."""
    return Simulation(seed, Plan())


def elastic(seed: int) -> Simulation:
    """The simulation of a seed whose members come and go; yet to be run."""
    return ElasticSimulation(seed, ElasticPlan())


def with_deadline(seed: int) -> Simulation:
    """The simulation of a seed with a deadline; yet to be run."""
    return DeadlineSimulation(seed, DeadlinePlan())


@cache
def _calm_conditions(plan: ElasticPlan) -> list[tuple[int, object]]:
    calm = ElasticSimulation(0, plan.calm())
    calm.run()
    return calm.conditions


def run(simulation: Simulation) -> None:
    """To its end; raises ``AssertionError`` or ``LedgerFault`` when it is not a good one."""
    head = simulation.run()
    match simulation:
        case DeadlineSimulation():
            pass  # the clock has its say in everything
        case ElasticSimulation(plan=ElasticPlan() as plan, conditions=conditions):
            assert conditions == _calm_conditions(plan), "weather or events are not the calm run's"
        case _:
            expected = without_faults(simulation.plan)
            assert head == expected, f"it ends in {head.hex()} and not in {expected.hex()}"


_OPTIONS: Final[dict[type[Simulation], str]] = {
    DeadlineSimulation: " --deadline",
    ElasticSimulation: " --elastic",
}


def replay_command(simulation: Simulation) -> str:
    """What to type to see it again."""
    option = _OPTIONS.get(type(simulation), "")
    return f"python -m tests.chaos.simulator {simulation.seed}{option}"


def fingerprint(simulation: Simulation) -> str:
    """Of every step that was taken: equal for equal seeds, on any machine."""
    return f"{zlib.crc32(repr(simulation.trace).encode()):08x}"


def main() -> None:
    """Replays one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    kind = parser.add_mutually_exclusive_group()
    for option, make, what in (
        ("--elastic", elastic, "of the kind whose members come and go"),
        ("--deadline", with_deadline, "of the kind with deadlines"),
    ):
        kind.add_argument(option, dest="make", action="store_const", const=make, help=what)
    parser.add_argument("--trace", action="store_true", help="print every step")
    options = parser.parse_args()
    simulation = (options.make or strict)(options.seed)
    failure: Exception | None = None
    try:
        run(simulation)
    except Exception as error:  # noqa: BLE001 - whatever it is, what led to it is shown first
        failure = error
    if options.trace:
        for time_s, name, what in simulation.trace:
            print(f"{time_s:10.2f}  {name:<10}  {what}")
    for what, times in sorted(simulation.happened.items()):
        print(f"{times:>6}  {what}")
    print(f"{len(simulation.trace)} steps, fingerprint {fingerprint(simulation)}")
    if failure:
        raise failure
    print("well ended")


if __name__ == "__main__":
    main()
