"""What a tick did to one home: its receipt, made from the tick's record."""

from __future__ import annotations

from collections.abc import Sequence

from energymarket.units import eur, eur_per_kwh, kwh
from services.market.api.home_book import policy_of, position
from services.market.api.schemas.homes import Counterparty, Receipt
from services.market.domain.gifts import Gifts
from services.market.domain.record import SettledTick


def receipt_of(settled: SettledTick, home: int) -> Receipt | None:
    """The receipt of a home; None when it was not in the tick's roster."""
    row = position(settled.home, home)
    if row is None:
        return None
    orders, out = settled.orders, settled.outcome
    price = settled.opening.price_neur_per_wh
    traded_wh = out.bought_wh[row] - out.sold_wh[row]
    net_wh = out.received_wh[row] - out.given_wh[row] + traded_wh
    policy = policy_of(settled, row)
    return Receipt.model_validate(
        {
            "tick": settled.tick,
            "present": policy is not None,
            "policy": policy,
            "price_eur_per_kwh": eur_per_kwh(price),
            "price_neur_per_wh": price,
            "net_kwh": kwh(net_wh),
            "net_wh": net_wh,
            "produced_kwh": kwh(orders.produced_wh[row]),
            "consumed_kwh": kwh(orders.consumed_wh[row]),
            "given_kwh": kwh(out.given_wh[row]),
            "received_kwh": kwh(out.received_wh[row]),
            "sold_kwh": kwh(out.sold_wh[row]),
            "bought_kwh": kwh(out.bought_wh[row]),
            "unserved_kwh": kwh(out.unserved_wh[row]),
            "spilled_kwh": kwh(out.spilled_wh[row]),
            "stock_kwh": kwh(out.stock_wh[row]),
            "charge_eur": eur(traded_wh * price),
            "charge_neur": traded_wh * price,
            "balance_eur": eur(out.balance_neur[row]),
            "balance_neur": out.balance_neur[row],
            "gave_to": _parties(settled, home, row, out.given_wh, giver=True),
            "received_from": _parties(settled, home, row, out.received_wh, giver=False),
        }
    )


def _parties(
    settled: SettledTick, home: int, row: int, amounts_wh: Sequence[int], *, giver: bool
) -> list[Counterparty]:
    if not amounts_wh[row]:
        return []
    mine, other = (0, 1) if giver else (1, 0)
    out = settled.outcome
    gifts = Gifts.paired(settled.home, out.given_wh, out.received_wh).touching([home])
    return [
        Counterparty(home=gift[other], kwh=kwh(gift[2]), wh=gift[2])
        for gift in gifts.rows()
        if gift[mine] == home
    ]
