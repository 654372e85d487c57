"""Who takes part: fleets, the home ids they hold, and from which tick to which.

Pure state: it decides and says which fleets changed; the service stores them before it answers.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal

Departure = Literal["left", "silent beyond their lease"]
"""How a membership ends."""

_STINT: Final = "left/"
"""Begins the name under which a stint is remembered; its key follows. No instance has a slash."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A home process and its homes, in ascending id; in the roster of ``[first_tick, left_tick)``.

    ``key`` is that of its present connection, ``instance`` stays over restarts.
    """

    instance: str
    key: str
    homes: tuple[int, ...]
    first_tick: int
    left_tick: int | None = None

    def takes_part(self, tick: int) -> bool:
        return self.first_tick <= tick and (self.left_tick is None or tick < self.left_tick)


class FleetsFull(Exception):
    """No room for a further fleet; ``str`` says what the limit is."""


class Membership:
    """All fleets. Home ids are given lowest free first, so that they stay dense.

    An instance that left, and came back before the tick in which it left was settled, is in that
    tick's roster still, for the time before: that is its *stint*, a fleet of its own that is
    remembered beside it until that tick is in the ledger. A market that dies meanwhile has to open
    the tick with the same homes again.
    """

    def __init__(self, fleets: Iterable[Fleet] = (), *, max_fleets: int = 10_000) -> None:
        self._max_fleets = max_fleets
        self._by_instance: dict[str, Fleet] = {fleet.instance: fleet for fleet in fleets}
        self._by_key = {fleet.key: fleet for fleet in self._by_instance.values()}
        self._members: tuple[Fleet, ...] | None = None
        self.forgotten: list[Fleet] = []
        """Fleets dropped from memory, for the ledger to drop them too; it empties the list."""
        self.stints: list[Fleet] = []
        """Those that began to be remembered, for the ledger to store; it empties the list."""
        self._stint_names = {name for name in self._by_instance if name.startswith(_STINT)}
        self._holder: dict[int, Fleet] = {}
        for fleet in self._by_instance.values():
            if fleet.left_tick is None:
                self._holder.update(dict.fromkeys(fleet.homes, fleet))
        # Homes of fleets that left count too: such a fleet may come back and want them again.
        known = self._by_instance.values()
        self._highest = max((home for fleet in known for home in fleet.homes), default=0)
        self._free = [home for home in range(1, self._highest + 1) if home not in self._holder]
        self._in_free = set(self._free)
        # A market that restarts opens a tick again whose roster has fleets that left during it.
        self._taken_until: dict[int, int] = {}
        for fleet in known:
            self._keep_until_it_has_left(fleet)

    # ------------------------------------------------------------------------------ questions

    def by_key(self, key: str) -> Fleet | None:
        """The fleet of a connection, if it is a member."""
        fleet = self._by_key.get(key)
        return fleet if fleet and fleet.left_tick is None else None

    def sender(self, key: str, tick: int) -> Fleet | None:
        """The fleet that may order for ``tick`` under this key: a member, or one that has left and
        was in that tick's roster still."""
        fleet = self._by_key.get(key)
        return fleet if fleet and (fleet.left_tick is None or fleet.takes_part(tick)) else None

    def holders(self, fleets: Iterable[Fleet]) -> list[Fleet]:
        """The fleets that now hold the homes of these fleets, each once. The homes of one that has
        left since may be divided among several."""
        found: dict[str, Fleet] = {}
        for fleet in fleets:
            first = self._holder.get(fleet.homes[0])
            together = first is not None and first.homes == fleet.homes
            for home in fleet.homes[:1] if together else fleet.homes:
                holder = self._holder.get(home)
                if holder:
                    found[holder.key] = holder
        return list(found.values())

    def holds(self, fleet: Fleet, homes: Collection[int]) -> bool:
        """Whether all of these homes are the fleet's. For a member it takes the longer the more
        they are, however large the fleet is: that may send many small messages."""
        holder = self._holder
        for home in homes:
            if holder.get(home) is not fleet:
                # Not its own, or it has left: the orders that it sent before still count.
                return set(homes).issubset(fleet.homes)
        return True

    def roster(self, tick: int) -> list[Fleet]:
        """The fleets that take part in ``tick``."""
        return [fleet for fleet in self._by_instance.values() if fleet.takes_part(tick)]

    def members(self) -> tuple[Fleet, ...]:
        """The fleets that hold homes now."""
        if self._members is None:
            self._members = tuple(f for f in self._by_instance.values() if f.left_tick is None)
        return self._members

    @property
    def homes(self) -> int:
        """How many homes are held now."""
        return len(self._holder)

    # -------------------------------------------------------------------------------- changes

    def join(
        self,
        *,
        key: str,
        instance: str,
        homes: int,
        next_tick: int,
        settled_tick: int | None = None,
    ) -> Fleet:
        """Admits a fleet, or takes a known one back under its new key.

        An instance that comes back gets its homes again, unless another took them meanwhile; one
        that comes back with another number of homes leaves and starts anew with them. Nobody takes
        part in a tick in whose roster one of its homes still is for the one that left it.
        ``next_tick`` is the first that is not open yet, ``settled_tick`` (default: the one before)
        the newest in the ledger. Raises ``FleetsFull``.
        """
        unsettled_tick = next_tick if settled_tick is None else settled_tick + 1
        self._forget_stints_before(unsettled_tick)
        known = self._by_instance.get(instance)
        if known and known.left_tick is None:
            if len(known.homes) == homes:
                return self._store(replace(known, key=key))
            known = self._left(known, next_tick)
        elif len(self._by_instance) >= self._max_fleets and not self._forget_one_that_left(
            unsettled_tick
        ):
            raise FleetsFull(f"the market admits {self._max_fleets} home processes at most")
        if known and _in_a_roster(known, unsettled_tick):
            self._remember_stint(known)
        wanted = known.homes[:homes] if known else ()
        again = tuple(home for home in wanted if home not in self._holder)
        taken = self._take(homes, again)
        first_tick = max(next_tick, *(self._taken_until.get(home, 0) for home in taken))
        return self._store(Fleet(instance, key, taken, first_tick))

    def leave(self, key: str, next_tick: int) -> Fleet | None:
        """A fleet goes: out of the roster from ``next_tick`` on, its homes free at once."""
        fleet = self.by_key(key)
        return self._left(fleet, next_tick) if fleet else None

    def _left(self, fleet: Fleet, next_tick: int) -> Fleet:
        self._release(fleet)
        left = self._store(replace(fleet, left_tick=next_tick))
        self._keep_until_it_has_left(left)
        return left

    # ------------------------------------------------------------------------------- bookkeeping

    def _store(self, fleet: Fleet) -> Fleet:
        self._members = None
        old = self._by_instance.get(fleet.instance)
        if old:
            self._drop_key_of(old)
        self._by_instance[fleet.instance] = fleet
        self._by_key[fleet.key] = fleet
        if fleet.left_tick is None:
            self._holder.update(dict.fromkeys(fleet.homes, fleet))
        return fleet

    def _drop(self, fleet: Fleet) -> None:
        del self._by_instance[fleet.instance]
        self._stint_names.discard(fleet.instance)
        self._drop_key_of(fleet)
        self.forgotten.append(fleet)
        if fleet in self.stints:
            self.stints.remove(fleet)

    def _drop_key_of(self, fleet: Fleet) -> None:
        if self._by_key.get(fleet.key) is fleet:
            del self._by_key[fleet.key]

    def _release(self, fleet: Fleet) -> None:
        for home in fleet.homes:
            del self._holder[home]
            if home not in self._in_free:  # one that was wanted again had stayed among them
                self._in_free.add(home)
                heapq.heappush(self._free, home)

    def _keep_until_it_has_left(self, fleet: Fleet) -> None:
        if fleet.left_tick is not None:
            for home in fleet.homes:
                self._taken_until[home] = max(fleet.left_tick, self._taken_until.get(home, 0))

    def _take(self, count: int, wanted: tuple[int, ...]) -> tuple[int, ...]:
        """``count`` home ids: the wanted ones, then the lowest free ones."""
        taken = list(wanted)
        chosen = set(wanted)
        while self._free and len(taken) < count:
            home = heapq.heappop(self._free)
            self._in_free.discard(home)
            if home not in chosen and home not in self._holder:
                taken.append(home)
                chosen.add(home)
        fresh = count - len(taken)
        taken.extend(range(self._highest + 1, self._highest + 1 + fresh))
        self._highest += fresh
        return tuple(sorted(taken))

    def _remember_stint(self, left: Fleet) -> None:
        stint = replace(left, instance=_STINT + left.key)
        self._store(stint)
        self._stint_names.add(stint.instance)
        self.stints.append(stint)

    def _forget_stints_before(self, unsettled_tick: int) -> None:
        stints = [self._by_instance[name] for name in self._stint_names]
        for stint in stints:
            if not _in_a_roster(stint, unsettled_tick):
                self._drop(stint)

    def _forget_one_that_left(self, unsettled_tick: int) -> bool:
        """Drops the memory of one fleet that left, to bound how many are remembered."""
        for fleet in self._by_instance.values():
            if fleet.left_tick is not None and not _in_a_roster(fleet, unsettled_tick):
                self._drop(fleet)
                return True
        return False


def _in_a_roster(left: Fleet, unsettled_tick: int) -> bool:
    """Whether a fleet that left is in the roster of a tick that is not in the ledger yet."""
    return left.left_tick is not None and left.left_tick > max(unsettled_tick, left.first_tick)
