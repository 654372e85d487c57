"""Who has given to whom over several ticks: one by one, and on whole columns."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from services.market.domain.flows import Link, strongest
from services.market.domain.gifts import Gifts

one_gift = st.tuples(st.integers(1, 6), st.integers(7, 12), st.integers(1, 2**40))
a_tick = st.lists(one_gift, max_size=8, unique_by=lambda gift: gift[:2]).map(sorted)


def gifts_of(rows: Sequence[tuple[int, int, int]], *, long: bool) -> Gifts:
    columns = ([row[place] for row in rows] for place in range(3))
    return Gifts(*(array("q", column) if long else column for column in columns))


@given(ticks=st.lists(a_tick, max_size=6), limit=st.integers(1, 40))
def test_columns_and_rows_give_the_same_links(
    ticks: list[list[tuple[int, int, int]]], limit: int
) -> None:
    energy_wh: Counter[tuple[int, int]] = Counter()
    given_in: Counter[tuple[int, int]] = Counter()
    for rows in ticks:
        for giver, taker, amount_wh in rows:
            energy_wh[giver, taker] += amount_wh
            given_in[giver, taker] += 1
    expected = sorted(
        (Link(*pair, total, given_in[pair]) for pair, total in energy_wh.items()),
        key=lambda link: (-link.energy_wh, link.giver, link.taker),
    )
    for long in (False, True):
        found = strongest([gifts_of(rows, long=long) for rows in ticks], limit)
        assert found == expected[:limit]


def test_sums_beyond_64_bits_are_right() -> None:
    """Two ticks whose gifts fit one by one."""
    rows = [(1, 2, 2**62 + 1)]
    gifts = [gifts_of(rows, long=True) for _ in range(2)]
    assert strongest(gifts, 1) == [Link(1, 2, 2**63 + 2, 2)]
