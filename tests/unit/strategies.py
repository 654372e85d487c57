"""Generated rosters with valid orders, for the property tests of the market."""

from __future__ import annotations

from hypothesis import strategies as st

from energymarket.policies import Policy
from services.market.domain.settlement import OrderColumns, Roster

Home = tuple[int, int, int, int, int, int, int, int]
"""(id, policy, stock, produced, consumed, capacity, share of surplus offered in %, balance)"""


@st.composite
def homes(draw: st.DrawFn, *, most: int = 12) -> list[Home]:
    """Homes with ascending ids; amounts small enough that scarcity and ties are common."""
    ids = draw(st.lists(st.integers(1, 60), unique=True, max_size=most).map(sorted))
    energy = st.integers(0, 30) | st.integers(0, 5_000)
    return [
        (
            home,
            draw(st.sampled_from([0, *Policy])),
            draw(energy),
            draw(energy),
            draw(energy),
            draw(energy),
            draw(st.integers(0, 100)),
            draw(st.integers(-(10**12), 10**12)),
        )
        for home in ids
    ]


def columns(rows: list[Home]) -> tuple[Roster, OrderColumns]:
    """A roster and its orders, made valid: a home in surplus offers, one in need requests all."""
    policies, amounts, produced, consumed, capacities = [], [], [], [], []
    stocks = []
    for _, policy, stock, made, used, capacity, percent, _ in rows:
        held = min(stock, capacity)
        has = held + made - used
        surplus = has >= 0
        if policy and (policy <= Policy.SELL_IF_NONE) != surplus:
            # The same home on the other side: 1 <-> 4, 2 <-> 5, 3 <-> 6.
            policy = policy - 3 if surplus else policy + 3  # noqa: PLW2901
        stocks.append(held)
        policies.append(int(policy))
        amounts.append((has * percent // 100 if surplus else -has) if policy else 0)
        produced.append(made if policy else 0)
        consumed.append(used if policy else 0)
        capacities.append(capacity if policy else 0)
    roster = Roster(
        home=[row[0] for row in rows], stock_wh=stocks, balance_neur=[row[7] for row in rows]
    )
    return roster, OrderColumns(policies, amounts, produced, consumed, capacities)
