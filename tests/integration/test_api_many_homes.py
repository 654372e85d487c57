"""The API in front of a market whose columns are long: it answers what it answers else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from energymarket import columns
from energymarket.columns import is_long
from tests.live_api import LiveApi
from tests.world import World

TICKS = 12
PATHS = (
    *("/homes", "/homes?limit=3&sort=-balance", "/homes?policy=buy_if_none", "/homes/3"),
    *("/homes/3/receipts", "/homes/3/receipts?limit=2", "/homes/5/receipts"),
    *("/trades", "/trades?limit=5", f"/trades?tick={TICKS - 3}"),
    *("/price", "/prices", f"/prices/{TICKS}", "/run", "/weather", "/events", "/audit"),
)
DIFFERENT_IN_EACH_RUN = {"run", "at", "opened_at", "started_at", "generated_at"}


def _api(folder: Path, many: int) -> Iterator[LiveApi]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(columns, "MANY", many)
        world = World(f"sqlite:///{folder}/ledger.db", homes=9)
        world.turn_until_tick(TICKS)
        live = LiveApi(world)
        yield live
        live.close()


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """A market of nine homes, home by home."""
    yield from _api(tmp_path_factory.mktemp("lists"), 10**9)


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveApi]:
    """The same market on whole columns."""
    yield from _api(tmp_path_factory.mktemp("arrays"), 1)


def _comparable(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {k: _comparable(v) for k, v in answer.items() if k not in DIFFERENT_IN_EACH_RUN}
    return [_comparable(each) for each in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_the_same_whatever_the_columns_are(
    path: str, lists: LiveApi, arrays: LiveApi
) -> None:
    last = arrays.world.market.view.last
    assert last is not None
    assert is_long(last.home)
    assert is_long(last.outcome.stock_wh)
    one, other = lists.ask(path), arrays.ask(path)
    assert (one.status_code, other.status_code) == (200, 200), other.text
    assert _comparable(one.json()) == _comparable(other.json())
