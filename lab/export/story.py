"""Reads a ledger once, from its first tick to its last, and hands each tick on."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from energymarket.policies import Policy
from lab.export import columns
from lab.export.columns import Cells
from lab.export.writers import TableWriter
from services.market.domain import record
from services.market.domain.accounts import Accounts
from services.market.domain.crosscheck import StoredStart
from services.market.domain.gifts import Gifts
from services.market.domain.record import DEGRADED_EXTERNAL, DEGRADED_WEATHER, SettledTick
from services.market.domain.replay import LedgerFault, check_accounts, opened
from services.market.domain.rules import Rules
from services.market.ledger import Inspection

if TYPE_CHECKING:
    from lab.export.sums_arrays import GiftLinks, HomeSums

Progress = Callable[[int], object]
"""Told of each tick that has been read."""


@dataclass(slots=True)
class Story:
    """What a ledger tells, without its single trades: columns by tick, sums by home, gift links."""

    rules: Rules
    first_tick: int
    head_hash: bytes
    starts: Sequence[StoredStart]
    before: Accounts
    after: Accounts
    homes: HomeSums
    links: GiftLinks
    ticks: array[int] = field(default_factory=lambda: array("q"))
    series: dict[str, array[int]] = field(
        default_factory=lambda: {
            name: array("q")
            for name in (
                *("price_neur_per_wh", "temperature_mdeg"),
                *("given_wh", "sold_wh", "bought_wh", "spilled_wh", "unserved_wh"),
            )
        }
    )

    @property
    def last_tick(self) -> int:
        return self.first_tick + len(self.ticks) - 1


def read(
    look: Inspection,
    prices: list[TableWriter],
    trade_rows: list[TableWriter],
    progress: Progress,
) -> Story:
    """The story of a ledger; prices and trades go to their writers tick by tick.

    The memory that it takes grows with homes and ticks, not with their product. Raises
    ``LedgerFault`` where the chain of hashes is broken or the accounts are not what the newest
    tick left (ticks are missing at the end), ``LedgerUnreadable``, ``BeyondExact``.
    """
    from lab.export.sums_arrays import trades  # noqa: PLC0415 - NumPy is for who exports

    story = _begun(look)
    left = Accounts(story.before.stock_wh[:], story.before.balance_neur[:])
    for line in look.ticks(after=story.first_tick - 1):
        stored = line.stored
        if stored.tick != story.last_tick + 1:
            raise LedgerFault(f"tick {stored.tick} follows tick {story.last_tick} (I6)")
        story.head_hash = record.chained_hash(story.head_hash, stored.body)
        if story.head_hash != stored.tick_hash:
            raise LedgerFault(f"tick {stored.tick}: the hash chain is broken (I5)")
        try:
            settled = record.from_bytes(stored.body)
        except record.RecordCorrupt as error:
            raise LedgerFault(f"tick {stored.tick}: {error}") from error
        gifts = Gifts.paired(settled.home, settled.outcome.given_wh, settled.outcome.received_wh)
        _take_in(story, settled, gifts)
        left.grow_to(settled.home[-1] if settled.home else 0)
        left.put(settled.home, settled.outcome.stock_wh, settled.outcome.balance_neur)
        for writer in prices:
            writer.write(*_price_row(settled))
        if trade_rows:
            rows = trades(settled, gifts)
            for writer in trade_rows:
                writer.write(*rows)
        progress(stored.tick)
    check_accounts(left, story.after, f"the account after tick {story.last_tick}")
    return story


def _begun(look: Inspection) -> Story:
    from lab.export.sums_arrays import GiftLinks, HomeSums  # noqa: PLC0415 - as above

    rules, base = look.rules(), look.base()
    before = opened(base, look.snapshot_pages(base.tick)) if base else Accounts()
    after = look.accounts()
    return Story(
        rules=rules,
        first_tick=base.tick + 1 if base else 1,
        head_hash=base.tick_hash if base else record.genesis_hash(rules),
        starts=look.surroundings().starts,
        before=before,
        after=after,
        homes=HomeSums(),
        links=GiftLinks(len(after.stock_wh)),
    )


def _take_in(story: Story, settled: SettledTick, gifts: Gifts) -> None:
    story.homes.add(settled)
    story.links.add(gifts)
    story.ticks.append(settled.tick)
    opening, totals = settled.opening, settled.totals
    for name, values in story.series.items():
        values.append(getattr(opening if hasattr(opening, name) else totals, name))


def _price_row(settled: SettledTick) -> list[Cells]:
    opening, sums = settled.opening, settled.totals
    row = (
        settled.tick,
        opening.price_neur_per_wh,
        settled.next_price_neur_per_wh,
        opening.temperature_mdeg,
        int(bool(opening.degraded & DEGRADED_WEATHER)),
        int(bool(opening.degraded & DEGRADED_EXTERNAL)),
        len(settled.home),
        sums.absent,
        sums.given_wh,
        sums.sold_wh,
        sums.bought_wh,
        sums.spilled_wh,
        sums.unserved_wh,
    )
    return [[value] for value in row]


def home_rows(story: Story) -> list[Cells]:
    """The table of homes as columns: every home that took part in a tick, by id."""
    sums = {name: column.tolist() for name, column in story.homes.columns.items()}
    took_part = [
        row
        for row, (present, absent) in enumerate(
            zip(sums["ticks_present"], sums["ticks_absent"], strict=True)
        )
        if present or absent
    ]
    before = [story.before.held_by(row + 1) for row in took_part]
    after = [story.after.held_by(row + 1) for row in took_part]

    def summed(name: str) -> list[int]:
        return [sums[name][row] for row in took_part]

    made: dict[str, Cells] = {
        "home": [row + 1 for row in took_part],
        "surplus_policy": [policy_name(each) for each in summed("surplus")],
        "need_policy": [policy_name(each) for each in summed("need")],
        "stock_before_wh": [stock for stock, _ in before],
        "stock_wh": [stock for stock, _ in after],
        "balance_before_neur": [money for _, money in before],
        "balance_neur": [money for _, money in after],
        "bill_neur": [was - now for (_, was), (_, now) in zip(before, after, strict=True)],
    }
    return [made[name] if name in made else summed(name) for name in columns.HOMES.header]


def policy_name(number: int) -> str | None:
    """A policy by the number that orders carry; None for one that was never shown."""
    return Policy(number).label if number else None
