"""Adds up what the workers say, second by second and in all."""

from __future__ import annotations

from collections.abc import Mapping

from lab.load.latencies import Latencies
from lab.load.market_api import PhaseTotals
from lab.load.plan import ENDLESS_TICK, LoadPlan
from lab.load.result import Part, Result, Second, parts_of_a_tick
from lab.load.wire import Sample

_MANY_SECONDS = 3_600
"""Seconds that are kept one by one; of a longer run the first hour."""


_SHORTEST_S = 0.5


class Account:
    """The sums of one run. Begins to count with the first sample that holds an order."""

    def __init__(self, workers: int) -> None:
        self.newest: list[Sample | None] = [None] * workers
        self.latencies = Latencies()
        self.seconds: list[Second] = []
        self.base_tick, self.last_tick = ENDLESS_TICK, ENDLESS_TICK
        self._totals = dict.fromkeys(
            ("orders", "absent", "refused", "repeated", "unanswered", "messages"), 0
        )
        self._work_s = [
            dict.fromkeys(("compute", "encode", "decode", "held"), 0.0) for _ in self.newest
        ]
        self._cpu_s = 0.0
        self._second = Latencies()
        self._second_orders = 0
        self._second_at = self._second_tick = 0.0
        self._cut_off_at = 0.0
        self._watched: PhaseTotals | None = None
        self._phases: list[PhaseTotals] = []

    # ------------------------------------------------------------------------------- questions

    @property
    def joined_fleets(self) -> int:
        return sum(sample.joined_fleets for sample in self.newest if sample)

    @property
    def opened_tick(self) -> int:
        return max((sample.opened_tick for sample in self.newest if sample), default=0)

    @property
    def settled_tick(self) -> int:
        return max((sample.settled_tick for sample in self.newest if sample), default=0)

    @property
    def ticks(self) -> int:
        """Ticks that count and are settled."""
        return max(min(self.settled_tick, self.last_tick) - self.base_tick + 1, 0)

    @property
    def orders(self) -> int:
        return self._totals["orders"]

    @property
    def done(self) -> bool:
        """The last tick is settled for every fleet."""
        return all(sample is not None and sample.done for sample in self.newest)

    @property
    def refusal(self) -> str:
        """Why the broker will never have a worker's fleets; empty while it may."""
        return next((sample.refusal for sample in self.newest if sample and sample.refusal), "")

    @property
    def runs(self) -> set[str]:
        """The runs of the markets that have welcomed the fleets; more than one is wrong."""
        return {sample.run for sample in self.newest if sample and sample.run}

    @property
    def began(self) -> float:
        """When the first order that counts went out; 0 before."""
        return min((s.first_sent_at for s in self.newest if s and s.first_sent_at), default=0.0)

    @property
    def settling_s(self) -> float:
        """From the first order that counts to the last receipt."""
        return self._since_began(max((s.last_receipt_at for s in self.newest if s), default=0.0))

    @property
    def elapsed_s(self) -> float:
        """As ``settling_s``, and on to the end of a run that was cut off: a market that stood
        still until then has been that slow."""
        return max(self.settling_s, self._since_began(self._cut_off_at))

    def _since_began(self, moment: float) -> float:
        return max(moment - self.began, 0.0) if self.began else 0.0

    # --------------------------------------------------------------------------------- changes

    def begin(self, base_tick: int, last_tick: int) -> None:
        """The ticks that count are known."""
        self.base_tick, self.last_tick = base_tick, last_tick

    def cut_off(self, now: float) -> None:
        """The run ends here, whatever is still unsettled."""
        self._cut_off_at = now

    def take(self, number: int, sample: Sample) -> None:
        """Adds a worker's sample."""
        self.newest[number] = sample
        for name in ("orders", "absent", "refused", "repeated", "unanswered"):
            self._totals[name] += getattr(sample, name)
        self.latencies.add(sample.latencies)
        self._second.add(sample.latencies)
        self._second_orders += sample.orders
        if sample.settled_tick < self.base_tick:
            return
        self._totals["messages"] += sample.messages_in + sample.messages_out
        self._cpu_s += sample.cpu_s
        work_s = self._work_s[number]
        work_s["compute"] += sample.compute_s
        work_s["encode"] += sample.encode_s
        work_s["decode"] += sample.decode_s
        work_s["held"] += sample.held_s

    def note_phases(self, phases: PhaseTotals | None) -> None:
        """The market's phases when the count began, and when it ended."""
        if phases is not None:
            self._phases.append(phases)

    def close_second(self, now: float, phases: PhaseTotals | None) -> Second | None:
        """Ends a second of the run; None while nothing counts yet."""
        tick = min(self.settled_tick, self.last_tick)
        if not self.orders or not self._second_at:
            self._second_at, self._second_tick = now, max(tick, self.base_tick - 1)
            if not self.orders:
                return None
        means: Mapping[str, float] = {}
        if phases is not None and phases is not self._watched:
            if self._watched is not None:
                means = phases.per_tick_ms(self._watched)
            self._watched = phases
        length_s = now - self._second_at
        if length_s < _SHORTEST_S:
            return None  # the end of a run, and no rate to be told from it
        p50, p99 = self._second.percentiles_ms([50, 99])
        second = Second(
            at_s=now - (self.began or now),
            ticks_per_s=max(tick - self._second_tick, 0) / length_s,
            orders_per_s=self._second_orders / length_s,
            p50_ms=p50,
            p99_ms=p99,
            phases_ms=means,
        )
        if len(self.seconds) < _MANY_SECONDS:
            self.seconds.append(second)
        self._second, self._second_orders = Latencies(), 0
        self._second_at, self._second_tick = now, tick
        return second

    def result(
        self, plan: LoadPlan, *, ended: str, market: dict[str, object], began_at: str
    ) -> Result:
        """All of it."""
        elapsed_s = self.elapsed_s
        return Result(
            plan=plan.facts(),
            ended=ended,
            elapsed_s=elapsed_s,
            ticks=self.ticks,
            latencies=self.latencies,
            seconds=self.seconds,
            parts=self._parts(),
            tool_cores=self._cpu_s / elapsed_s if elapsed_s else 0.0,
            reconnects=sum(sample.reconnects for sample in self.newest if sample),
            market=market,
            homes_left=0,
            began_at=began_at,
            **self._totals,
        )

    def _parts(self) -> list[Part]:
        """The mean settled tick, divided; the worker that worked most is the one that was waited
        for."""
        if len(self._phases) < 2 or not self.ticks:
            return []
        busiest = max(self._work_s, key=lambda work: sum(work.values()) - work["held"])
        fleets_ms = {name: 1_000 * seconds / self.ticks for name, seconds in busiest.items()}
        phases_ms = self._phases[-1].per_tick_ms(self._phases[0])
        return parts_of_a_tick(1_000 * self.settling_s / self.ticks, phases_ms, fleets_ms)
