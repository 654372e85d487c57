"""What a ledger says twice must be the same both times; pure checks, each raises ``LedgerFault``.

The record of a tick is the truth, for the chain of hashes covers it. Everything that stands beside
the records (the columns of ``ticks``, accounts, epochs, events, openings, fleets) is there to be
found quickly, and a market and its API rely on it: here it is held against the records.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from energymarket.messages import EventStart
from services.market.domain import events, record
from services.market.domain.accounts import Accounts
from services.market.domain.membership import Fleet
from services.market.domain.record import DEGRADED_EXTERNAL, DEGRADED_WEATHER, Opening, SettledTick
from services.market.domain.replay import HIGHEST_HOME, LedgerFault, StoredTick, check_accounts

API, EXTERNAL = "api", "external"


@dataclass(frozen=True, slots=True)
class TickLine:
    """A tick as the ledger holds it, with what stands beside its record (``record.summary``)."""

    stored: StoredTick
    beside: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StoredStart:
    """An external event as the ledger keeps it; of one tick, the lower ``id`` began first."""

    id: int
    start: EventStart
    start_tick: int
    source: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a ledger holds beside its ticks and accounts."""

    epochs: Sequence[tuple[int, int]]
    """(epoch, first tick that its market could settle), in order of epoch."""
    starts: Sequence[StoredStart]
    openings: Sequence[Opening]
    fleets: Sequence[Fleet]


class CrossCheck:
    """Holds tick after tick, oldest first, against its surroundings; ``finish`` looks at the rest.

    The first tick that it is fed may be any: one of which the predecessor is gone is held against
    as much as there is.
    """

    def __init__(self, around: Surroundings, begins_at: int = 1) -> None:
        """``begins_at`` is the first tick that the ledger has not forgotten."""
        self._around = around
        self._last: SettledTick | None = None
        self._epoch_index = -1
        self._starts_of: dict[int, list[StoredStart]] = {}
        for start in sorted(around.starts, key=lambda s: s.id):
            self._starts_of.setdefault(start.start_tick, []).append(start)
        before = first_epoch(around.epochs, begins_at)
        for epoch, from_tick in around.epochs:
            if epoch != before[0] + 1 or from_tick < before[1]:
                raise LedgerFault(f"epoch {epoch} from tick {from_tick} is out of turn (I6)")
            before = epoch, from_tick

    def feed(self, line: TickLine, settled: SettledTick) -> None:
        """Checks the columns beside a record, which market settled it, and its events."""
        _check_line(line, settled)
        self._check_epoch(line.stored)
        self._check_events(settled)
        self._last = settled

    def _check_epoch(self, stored: StoredTick) -> None:
        epochs = self._around.epochs
        following = self._epoch_index + 1
        while following < len(epochs) and epochs[following][1] <= stored.tick:
            self._epoch_index, following = following, following + 1
        epoch = epochs[self._epoch_index][0] if self._epoch_index >= 0 else 0
        if stored.epoch != epoch:
            raise LedgerFault(
                f"tick {stored.tick}: epoch {stored.epoch} settled it, in epoch {epoch} (I6)"
            )

    def _check_events(self, settled: SettledTick) -> None:
        opening, last = settled.opening, self._last
        if last is None and opening.tick > 1:
            return
        alive = events.one_tick_on(last.opening.events) if last else []
        starts = self._starts_of.get(opening.tick, [])
        for source in (EXTERNAL, API):
            alive += [events.begun(each.start) for each in starts if each.source == source]
        if tuple(alive) != opening.events:
            raise LedgerFault(f"tick {opening.tick}: its events are not those that had begun")
        before = last.opening if last else opening
        lacks_weather = opening.degraded & DEGRADED_WEATHER
        if lacks_weather and opening.temperature_mdeg != before.temperature_mdeg:
            raise LedgerFault(f"tick {opening.tick}: its temperature is from nowhere")
        without_external = opening.degraded & DEGRADED_EXTERNAL
        if without_external and any(each.source == EXTERNAL for each in starts):
            raise LedgerFault(f"tick {opening.tick}: external began events while it was away")

    def finish(self) -> None:
        """Checks what a market that starts goes by, beside ticks and accounts."""
        _check_what_is_to_come(self._around, self._last)


def first_epoch(epochs: Sequence[tuple[int, int]], begins_at: int) -> tuple[int, int]:
    """What the first epoch of a ledger must follow: the beginning, or what has been forgotten."""
    if begins_at == 1 or not epochs or epochs[0][1] > begins_at:
        return 0, 1
    return epochs[0][0] - 1, 1


def _check_line(line: TickLine, settled: SettledTick) -> None:
    """What stands beside a record is what the record says."""
    said = record.summary(settled)
    if said == line.beside:
        return
    for name, value in said.items():
        if line.beside.get(name) != value:
            raise LedgerFault(
                f"tick {settled.tick}: its {name} stands as {line.beside.get(name)}, "
                f"its record says {value}"
            )


def _check_what_is_to_come(around: Surroundings, last: SettledTick | None) -> None:
    head = last.tick if last else 0
    if around.epochs and around.epochs[-1][1] > head + 1:
        raise LedgerFault(f"epoch {around.epochs[-1][0]} begins beyond tick {head + 1} (I6)")
    for start in around.starts:
        if start.source not in (API, EXTERNAL):
            raise LedgerFault(f"event {start.id}: nobody is called {start.source!r}")
        if not 0 < start.start_tick <= head + (2 if start.source == API else 0):
            raise LedgerFault(f"event {start.id}: it cannot begin in tick {start.start_tick}")
    for opening in around.openings:
        _check_opening(opening, last)
    _check_fleets(around.fleets, last)


def _check_opening(opening: Opening, last: SettledTick | None) -> None:
    head = last.tick if last else 0
    if last and opening.tick == head:
        possible = opening == last.opening
    elif last and opening.tick == head + 1:
        carried = tuple(events.one_tick_on(last.opening.events))
        possible = (
            opening.price_neur_per_wh == last.next_price_neur_per_wh
            and opening.events[: len(carried)] == carried
        )
    else:
        possible = 0 < opening.tick <= head + 1
    if not possible or not 0 <= opening.degraded <= DEGRADED_WEATHER | DEGRADED_EXTERNAL:
        raise LedgerFault(f"the stored opening of tick {opening.tick} is not how it can open")


def _check_fleets(fleets: Iterable[Fleet], last: SettledTick | None) -> None:
    head = last.tick if last else 0
    in_newest = set(last.home) if last else set()
    holder: dict[int, str] = {}
    for fleet in fleets:
        left = fleet.first_tick if fleet.left_tick is None else fleet.left_tick
        homes = fleet.homes
        in_turn = all(a < b for a, b in pairwise(homes)) and min(homes, default=1) > 0
        if not (fleet.instance and fleet.key and in_turn):
            raise LedgerFault(f"fleet {fleet.instance!r} holds homes that cannot be")
        if not (0 < fleet.first_tick <= head + 2 and 0 < left <= head + 2):
            raise LedgerFault(f"fleet {fleet.instance!r} comes or goes beyond tick {head + 2}")
        if fleet.left_tick is not None:
            continue
        for home in homes:
            if home in holder:
                raise LedgerFault(f"home {home} is held by {holder[home]!r} and {fleet.instance!r}")
            holder[home] = fleet.instance
        if fleet.first_tick <= head and not in_newest.issuperset(homes):
            raise LedgerFault(f"fleet {fleet.instance!r} had no part in tick {head}")


class NewestTicks:
    """The last stretch of a ledger, oldest first, as far back as a market that starts looks.

    What it goes on with is checked for being what the ledger's own records say: a market must not
    settle on top of a damaged page that still looks like one. The first hash is taken on trust,
    unless it is that of the first tick of all.
    """

    def __init__(self, around: Surroundings, genesis_hash: bytes, begins_at: int) -> None:
        """``begins_at`` is the first tick that the ledger has not forgotten."""
        self._check = CrossCheck(around, begins_at)
        self._genesis_hash = genesis_hash
        self._before: StoredTick | None = None
        self._from_the_first = True
        self._left_with = Accounts()
        self._seen = bytearray()
        """1 in the rows of homes that had part in one of the ticks."""

    def feed(self, line: TickLine) -> None:
        """Checks the next tick and takes it in."""
        stored, before = line.stored, self._before
        if before and stored.tick != before.tick + 1:
            raise LedgerFault(f"tick {stored.tick} follows tick {before.tick} (I6)")
        if before or stored.tick == 1:
            continued = before.tick_hash if before else self._genesis_hash
            if record.chained_hash(continued, stored.body) != stored.tick_hash:
                raise LedgerFault(f"tick {stored.tick}: the hash chain is broken (I5)")
        else:
            self._from_the_first = False
        try:
            settled = record.from_bytes(stored.body)
        except record.RecordCorrupt as error:
            raise LedgerFault(f"tick {stored.tick}: {error}") from error
        self._check.feed(line, settled)
        self._take_accounts(settled)
        self._before = stored

    def _take_accounts(self, settled: SettledTick) -> None:
        homes, out = settled.home, settled.outcome
        if homes and not 0 < homes[0] <= homes[-1] <= HIGHEST_HOME:
            raise LedgerFault(f"tick {settled.tick}: no market gives such home ids (I3)")
        self._left_with.grow_to(homes[-1] if homes else 0)
        self._left_with.put(homes, out.stock_wh, out.balance_neur)
        self._seen.extend(bytes(len(self._left_with.stock_wh) - len(self._seen)))
        for home in homes:
            self._seen[home - 1] = 1

    def finish(self, accounts: Accounts) -> None:
        """Checks the accounts of the homes that were seen, of all if the first tick was; then what
        is not about a tick of the past."""
        if not self._from_the_first:
            self._trust_the_unseen(accounts)
        check_accounts(self._left_with, accounts)
        self._check.finish()

    def _trust_the_unseen(self, accounts: Accounts) -> None:
        left = self._left_with
        left.grow_to(len(accounts.stock_wh))
        self._seen.extend(bytes(len(left.stock_wh) - len(self._seen)))
        for row, seen in enumerate(self._seen):
            if not seen and row < len(accounts.stock_wh):
                left.stock_wh[row] = accounts.stock_wh[row]
                left.balance_neur[row] = accounts.balance_neur[row]
