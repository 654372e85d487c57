"""``python -m tests.chaos.simulator SEED`` replays one seed and says what happened in it.

With ``--deadline`` it is a world whose ticks have a deadline; ``--trace`` prints every step.
"""

from __future__ import annotations

import argparse
import zlib
from functools import cache

from tests.chaos.deadline import DeadlineSimulation
from tests.chaos.plan import DeadlinePlan, Plan
from tests.chaos.simulation import Simulation


@cache
def without_faults(plan: Plan) -> bytes:
    """The head hash that every seed of a strict plan must reach (I7)."""
    return Simulation(0, plan.calm()).run()


def strict(seed: int) -> Simulation:
    """The simulation of a seed without a deadline; yet to be run."""
    return Simulation(seed, Plan())


def with_deadline(seed: int) -> Simulation:
    """The simulation of a seed with a deadline; yet to be run."""
    return DeadlineSimulation(seed, DeadlinePlan())


def run(simulation: Simulation) -> None:
    """To its end; raises ``AssertionError`` or ``LedgerFault`` when it is not a good one."""
    head = simulation.run()
    if not isinstance(simulation, DeadlineSimulation):
        expected = without_faults(simulation.plan)
        assert head == expected, f"it ends in {head.hex()} and not in {expected.hex()}"


def replay_command(simulation: Simulation) -> str:
    """What to type to see it again."""
    option = " --deadline" if isinstance(simulation, DeadlineSimulation) else ""
    return f"python -m tests.chaos.simulator {simulation.seed}{option}"


def fingerprint(simulation: Simulation) -> str:
    """Of every step that was taken: equal for equal seeds, on any machine."""
    return f"{zlib.crc32(repr(simulation.trace).encode()):08x}"


def main() -> None:
    """Replays one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulator", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--deadline", action="store_true", help="of the kind with deadlines")
    parser.add_argument("--trace", action="store_true", help="print every step")
    options = parser.parse_args()
    simulation = with_deadline(options.seed) if options.deadline else strict(options.seed)
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
