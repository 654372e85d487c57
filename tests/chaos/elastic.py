"""The simulation of a world whose members come and go: no deadline, so that the market waits for
whoever belongs to the open tick, and a single home that it waits for in vain holds it up for ever.

Rosters differ from seed to seed, and with them the ledger. What holds in all of them: ticks go on
until the last; weather and events are those of the calm run; every order in the ledger is the one
that this home makes of this tick; no home is absent more often than its process has gone; and when
the faults are over each process has its receipts and exactly the homes that it believes in.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from energymarket.messages import Welcome
from services.home.domain.profile import PolicyChoice, profile_of
from services.home.domain.trading import intent
from services.home.service import HomeService
from services.market.domain.record import SettledTick
from services.market.domain.settlement import ABSENT
from tests.chaos.plan import ElasticPlan
from tests.chaos.simulation import Process, Simulation
from tests.chaos.witness import Broken

ANCHOR = "home-0"
"""Never away for long, so that there is always somebody to trade."""

_MOST_HOMES = 3
"""In one process."""
_LOOKS_PER_STEP = 0.02
_LAST_QUIET_TICKS = 7
"""In the last ticks nobody comes or goes, for all to take part in the last one."""


class ElasticSimulation(Simulation):
    """One seeded run of ``plan.ticks`` ticks."""

    def __init__(self, seed: int, plan: ElasticPlan) -> None:
        self._most_fleets = plan.most_fleets
        self._homes_made = plan.homes
        self._departures: Counter[int] = Counter()
        """By home, how often its process has gone."""
        self._gone: list[Process] = []
        """Those that left for good."""
        self._resized: set[str] = set()
        """Processes that come back in another size."""
        self.conditions: list[tuple[int, object]] = []
        """Temperature and events of each tick, once it has ended: who takes part has no say in
        them."""
        self._elastic = True
        """Somebody may come or go still."""
        super().__init__(seed, plan)
        self.witness.on_welcome = self._count_a_late_join

    # --------------------------------------------------------------------------- coming, going

    def _fault(self, process: Process) -> bool:
        if super()._fault(process):
            return True
        plan, fate = self.fate.plan, self.fate
        assert isinstance(plan, ElasticPlan)
        if process.kind != "home" or not self.disk.tick:
            return False
        if self._room() and fate.strikes(plan.join, "home joined"):
            self._add_another_home()
        if process.name == ANCHOR:
            return False
        if fate.strikes(plan.leave, "home left"):
            self._leave(process)
        elif fate.strikes(plan.resize, "home came back in another size"):
            self._resized.add(process.name)
            if fate.strikes(0.5, "home left to come back in another size"):
                self._leave(process)
            else:
                self._end(process)
            process.make = partial(self._make_home, self.luck.randint(1, _MOST_HOMES))
        else:
            return False
        self._after_a_departure(process)
        return True

    def _room(self) -> bool:
        return sum(process.kind == "home" for process in self.others) < self._most_fleets

    def _add_another_home(self) -> None:
        self._homes_made += 1
        self._add_home(f"home-{self._homes_made}", self.luck.randint(1, _MOST_HOMES))

    def _leave(self, home: Process) -> None:
        service = home.service
        assert isinstance(service, HomeService)
        self._count_departure(home.name, service.home_ids)
        service.stop()
        self._end(home)

    def _count_departure(self, instance: str, believed: tuple[int, ...] = ()) -> None:
        self._departures.update({*self.disk.members().get(instance, ()), *believed})

    def _count_a_late_join(self, welcome: Welcome) -> None:
        """An old connection's ``Join`` that comes after the process has another: the market takes
        it for the newest, gives up what the process has, and takes it back when that joins anew."""
        homes = {home._fleet: home for home in self._homes()}
        if welcome.fleet in homes:
            return
        self.happened["join of an old connection came late"] += 1
        self._departures.update(welcome.home)
        instance = self.disk.instance_of(welcome.fleet)
        for home in homes.values():
            if home._instance == instance:
                self._departures.update(home.home_ids)

    def _after_a_departure(self, home: Process) -> None:
        """It comes back at once, later, or never; the market may have heard of the one or the
        other, and die before the tick that was left is settled: it opens that tick again."""
        fate, luck = self.fate, self.luck
        if luck.random() < 0.5:
            self._let_the_markets_hear()
        if fate.strikes(0.4, "home came back at once"):
            self._start(home)
            if home.service:
                self._call(home)
        elif home.name not in self._resized and fate.strikes(0.4, "home left for good"):
            self._dismiss(home, self.others)
            self._gone.append(home)
        else:
            home.asleep_until = self.clock.time_s + luck.uniform(1, 30 if fate.plan.kill else 5)
        if not fate.plan.kill or not fate.strikes(0.5, "market killed after a departure"):
            return
        self._let_the_markets_hear()
        for market in list(self.markets):
            if market.service is not None:
                self._kill(market)
        if self._room():
            self._add_another_home()

    def _let_the_markets_hear(self) -> None:
        for market in list(self.markets):
            if market.service is not None:
                self._call(market)

    def _start(self, process: Process) -> None:
        if process.name in self._resized:
            self._resized.discard(process.name)
            self._count_departure(process.name)
        super()._start(process)

    def _calm_down(self) -> None:
        """They come and go still. A market that forgets somebody does so for good now: none that
        starts after it makes up for that."""
        super()._calm_down()
        calm, plan = self.fate.plan, self.plan
        assert isinstance(calm, ElasticPlan)
        assert isinstance(plan, ElasticPlan)
        self.fate.plan = replace(calm, leave=plan.leave, join=plan.join, resize=plan.resize)

    def step(self) -> None:
        if self._elastic and self.disk.tick >= self.plan.all_ticks - _LAST_QUIET_TICKS:
            self._elastic = False
            super()._calm_down()
        super().step()
        if self._gone and self.luck.random() < _LOOKS_PER_STEP:
            self._look_after_the_gone()

    def _look_after_the_gone(self) -> None:
        """Of whom the last word was lost, the market waits for: whoever stopped it sees that, and
        starts it once more."""
        members = self.disk.members()
        for home in [each for each in self._gone if each.name in members]:
            self.happened["home had to come back to leave"] += 1
            self._gone.remove(home)
            self.others.append(home)
            home.asleep_until = 0.0

    # ------------------------------------------------------------------------------- the end

    def _check_the_end(self) -> None:
        self._let_the_last_receipts_arrive()
        self._check_members()
        absences: Counter[int] = Counter()
        for tick in range(1, self.disk.tick + 1):
            found = self.disk.settled(tick)
            assert found is not None
            self._check_orders(found[1])
            absences.update(_absent(found[1]))
            opening = found[1].opening
            self.conditions.append((opening.temperature_mdeg, opening.events))
        self.happened["home absent"] += absences.total()
        self._check_absences(absences)

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

    def _check_members(self) -> None:
        found = self.disk.settled(self.disk.tick)
        assert found is not None
        members = self.disk.members()
        held = [home for homes in members.values() for home in homes]
        if len(held) != len(set(held)):
            raise Broken("two fleets hold the same home")
        absent = _absent(found[1])
        for home in self._homes():
            if len(home.home_ids) != home._homes:
                raise Broken(f"{home._instance} is not of the size that it asked for")
            if members.get(home._instance) != home.home_ids:
                raise Broken(f"{home._instance} believes in homes that are not its own")
            for number in home.home_ids:
                if number not in found[2] or number in absent:
                    raise Broken(f"home {number} is still absent, long after its process is back")

    def _check_orders(self, settled: SettledTick) -> None:
        """Whatever was killed or came again, a home's order is a function of the tick."""
        opening, orders = settled.opening, settled.orders
        for row, home in enumerate(settled.home):
            if orders.policy[row] == ABSENT:
                continue
            wanted = intent(
                profile_of("residential", self.rules.seed, home, PolicyChoice()),
                seed=self.rules.seed,
                tick=opening.tick,
                temperature_mdeg=opening.temperature_mdeg,
                stock_wh=self.disk.stock_wh(home, opening.tick - 1),
            )
            if (
                int(wanted.policy),
                wanted.amount_wh,
                wanted.produced_wh,
                wanted.consumed_wh,
                wanted.capacity_wh,
            ) != (
                orders.policy[row],
                orders.amount_wh[row],
                orders.produced_wh[row],
                orders.consumed_wh[row],
                orders.capacity_wh[row],
            ):
                raise Broken(f"home {home} would have ordered otherwise in tick {opening.tick}")

    def _check_absences(self, absences: Counter[int]) -> None:
        for home, times in absences.items():
            if times > self._departures[home]:
                raise Broken(
                    f"home {home} was absent {times} times and had gone {self._departures[home]}"
                )


def _absent(settled: SettledTick) -> list[int]:
    policies = settled.orders.policy
    return [home for row, home in enumerate(settled.home) if policies[row] == ABSENT]
