"""Luck is a pure function of what it is for: the same everywhere and for ever, and fair.

Seeds are fixed, so a test here passes always or never; the bounds are five standard deviations.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import product
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energymarket import randomness
from energymarket.randomness import draw, draw_between, stream_key

ROOT = Path(__file__).resolve().parents[2]

GOLDEN_DRAWS = [
    ((0, "", 0, 0), 0x13A4217961F0EAEA),
    ((42, "consumption", 1, 1), 0x4AF9A9C4C5139C3D),
    ((42, "consumption", 1, 2), 0x853721CEFD5AEEC7),
    ((42, "consumption", 2, 1), 0x81719B0D274EA95D),
    ((43, "consumption", 1, 1), 0x21D3014018A0726B),
    ((42, "weather.hour", 0, 1), 0x83FFD59F75DB3C55),
    ((2**63 - 1, "profile_production", 2**31 - 1, 2**53), 0x6A3C9CE31F636F1D),
    ((42, "gift_remainder", 7, -3), 0xF0BAACD59D1FFEB7),
]
GOLDEN_KEYS = [
    ((0, ""), 0xE526B381BA07626E),
    ((42, "consumption"), 0x0E0D81A29FD7B284),
    ((2**63 - 1, "déjà"), 0x2F447386E89DD813),
]
GOLDEN_BETWEEN = [
    ((42, "consumption", 1, 1, 340, 1700), 738),
    ((42, "weather.hour", 0, 1, -400, 400), 13),
    ((7, "x", 3, 5, 0, 2**32 - 2), 2089112131),
]

# ----------------------------------------------------------------------------- always the same


@pytest.mark.parametrize(("arguments", "expected"), GOLDEN_DRAWS)
def test_draws_are_what_they_have_always_been(
    arguments: tuple[int, str, int, int], expected: int
) -> None:
    """Another number here is another world under every seed: ledgers could not be replayed."""
    assert draw(*arguments) == expected


@pytest.mark.parametrize(("arguments", "expected"), GOLDEN_KEYS)
def test_stream_keys_are_what_they_have_always_been(
    arguments: tuple[int, str], expected: int
) -> None:
    assert stream_key(*arguments) == expected


@pytest.mark.parametrize(("arguments", "expected"), GOLDEN_BETWEEN)
def test_bounded_draws_are_what_they_have_always_been(
    arguments: tuple[int, str, int, int, int, int], expected: int
) -> None:
    assert draw_between(*arguments) == expected


def test_the_mixing_step_is_that_of_splitmix64() -> None:
    """The first outputs of the published generator from the seed 1234567."""
    published = (
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    )
    gamma, mask = 0x9E3779B97F4A7C15, (1 << 64) - 1
    states = [(1234567 + step * gamma) & mask for step in range(1, 6)]
    assert tuple(map(randomness._mix, states)) == published


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_another_process_draws_the_same(hash_seed: str) -> None:
    """Python's own hashes of strings differ from process to process; these must not."""
    arguments, expected = GOLDEN_DRAWS[1]
    program = f"from energymarket.randomness import draw; print(draw(*{arguments!r}))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == expected


def test_a_draw_does_not_depend_on_what_was_drawn_before() -> None:
    """A restarted or moved home draws what it would have drawn."""
    wanted = [(home, tick) for home in range(1, 20) for tick in range(1, 20)]
    forwards = {at: draw(42, "consumption", *at) for at in wanted}
    stream_key.cache_clear()
    backwards = {at: draw(42, "consumption", *at) for at in reversed(wanted)}
    assert forwards == backwards


# ----------------------------------------------------------------------------------------- fair


def _chi_square(buckets: Iterable[int], size: int) -> float:
    """How far counts are from equal, in standard deviations of the statistic."""
    counts = Counter(buckets)
    expected = counts.total() / size
    statistic = sum((counts[bucket] - expected) ** 2 for bucket in range(size)) / expected
    freedom = size - 1
    return (statistic - freedom) / sqrt(2 * freedom)


_WAYS: dict[str, Callable[[int], int]] = {
    "homes": lambda i: draw(42, "x", i, 1),
    "ticks": lambda i: draw(42, "x", 1, i),
    "seeds": lambda i: draw(i, "x", 1, 1),
    "streams": lambda i: draw(42, f"x{i}", 1, 1),
    "homes and ticks": lambda i: draw(42, "x", i % 100, i // 100),
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("shift", [0, 24, 32, 56])
def test_draws_are_uniform_along_whatever_varies(way: str, shift: int) -> None:
    """Bytes from both ends and the middle of 20,000 draws, in 256 buckets."""
    draws = [_WAYS[way](i) for i in range(20_000)]
    assert abs(_chi_square((d >> shift & 0xFF for d in draws), 256)) < 5


_NEIGHBOURS: dict[str, Callable[[int, int], tuple[int, int]]] = {
    "the next tick": lambda e, t: (draw(42, "x", e, t), draw(42, "x", e, t + 1)),
    "the next home": lambda e, t: (draw(42, "x", e, t), draw(42, "x", e + 1, t)),
    "the next home, a tick later": lambda e, t: (draw(42, "x", e, t), draw(42, "x", e + 1, t + 1)),
    "the next home, a tick earlier": lambda e, t: (
        draw(42, "x", e, t),
        draw(42, "x", e + 1, t - 1),
    ),
    "home and tick exchanged": lambda e, t: (draw(42, "x", e, t), draw(42, "x", t, e)),
    "the next seed": lambda e, t: (draw(42, "x", e, t), draw(43, "x", e, t)),
    "another stream": lambda e, t: (draw(42, "x", e, t), draw(42, "y", e, t)),
}


@pytest.mark.parametrize("neighbour", _NEIGHBOURS)
@pytest.mark.parametrize("shift", [0, 60])
def test_a_draw_says_nothing_about_its_neighbour(neighbour: str, shift: int) -> None:
    """16 x 16 buckets of both: dependence would fill some more than others."""
    pairs = (_NEIGHBOURS[neighbour](e, 1_000 + t) for e in range(1, 101) for t in range(1, 201))
    joint = (((a >> shift & 15) << 4) | (b >> shift & 15) for a, b in pairs)
    assert abs(_chi_square(joint, 256)) < 5


@pytest.mark.parametrize("neighbour", _NEIGHBOURS)
def test_neighbours_differ_in_half_of_their_bits(neighbour: str) -> None:
    """Each of 10,000 pairs: 64 fair coins, mean 32, standard deviation 4."""
    pairs = [_NEIGHBOURS[neighbour](e, 1_000 + t) for e in range(1, 101) for t in range(100)]
    mean = sum((a ^ b).bit_count() for a, b in pairs) / len(pairs)
    assert abs(mean - 32) < 5 * 4 / sqrt(len(pairs))


def test_no_two_draws_of_a_world_are_equal() -> None:
    """Among 60,000 of 64 bits chance alone would make one pair in 10 billion worlds."""
    at = product(range(1, 201), range(1, 101), ["consumption", "profile", "weather.hour"])
    assert len({draw(42, stream, home, tick) for home, tick, stream in at}) == 60_000


def test_streams_have_keys_of_their_own_under_every_seed() -> None:
    keys = {stream_key(seed, f"stream{i}") for seed in range(50) for i in range(50)}
    assert len(keys) == 2_500


# ------------------------------------------------------------------------------------ in bounds


@given(
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**53),
    st.integers(-(2**40), 2**40),
    st.integers(0, 2**32 - 2),
)
@settings(deadline=None)
def test_a_bounded_draw_stays_within_its_bounds(
    seed: int, home: int, tick: int, low: int, width: int
) -> None:
    assert low <= draw_between(seed, "x", home, tick, low, low + width) <= low + width


@pytest.mark.parametrize(("low", "high"), [(0, 0), (5, 5), (0, 1), (-3, 3), (1, 10), (-400, 400)])
def test_a_bounded_draw_reaches_both_ends_and_everything_between_alike(low: int, high: int) -> None:
    size = high - low + 1
    draws = [draw_between(42, "x", 1, tick, low, high) - low for tick in range(100 * size)]
    assert set(draws) == set(range(size))
    assert size == 1 or abs(_chi_square(draws, size)) < 5
