"""Snapshots: where a ledger that has forgotten its beginning can still be verified from.

A snapshot holds every account as of one tick, with the hash of that tick. It carries a seal over
both, so that not one of its bytes can change unnoticed, and the chain goes on from its hash. Who
noted the head hash of the run at that tick has the proof that the snapshot is of that very run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from energymarket.columns import long_zeros
from services.market.domain import columns

PAGE_HOMES: Final = 4_096
"""Homes per page of accounts: a tick rewrites whole pages, few and large."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of accounts as it is stored: packed columns of stocks in Wh and balances in nEUR."""

    page: int
    stock_wh: bytes
    balance_neur: bytes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The world as of a settled tick, but for its accounts, which are in pages."""

    tick: int
    epoch: int
    tick_hash: bytes
    next_price_neur_per_wh: int
    seal: bytes


def seal(
    tick: int, epoch: int, tick_hash: bytes, next_price_neur_per_wh: int, pages: Iterable[Page]
) -> bytes:
    """32 bytes of SHA-256 over all that a snapshot says; pages in ascending number."""
    digest = sha256(f"snapshot {tick} {epoch} {next_price_neur_per_wh} ".encode())
    digest.update(tick_hash)
    for page in pages:
        for column in (page.stock_wh, page.balance_neur):
            digest.update(f" {page.page} {len(column)} ".encode())
            digest.update(column)
    return digest.digest()


def unpacked(pages: Iterable[Page]) -> tuple[array[int], array[int]]:
    """(stock in Wh, balance in nEUR) of every home, home 1 first; raises ``ValueError``."""
    stock_wh, balance_neur = long_zeros(0), long_zeros(0)
    for page in pages:
        missing = page.page * PAGE_HOMES - len(stock_wh)
        for held, packed in ((stock_wh, page.stock_wh), (balance_neur, page.balance_neur)):
            held.extend(long_zeros(missing))
            held.extend(columns.unpack(packed))
    return stock_wh, balance_neur
