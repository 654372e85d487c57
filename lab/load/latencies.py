"""Latencies in the buckets of an HdrHistogram of three significant digits, in microseconds.

A worker records into a plain dictionary of buckets, a tenth of the cost of HdrHistogram's own
``record_value``; percentiles, and the form that other tools read, come from HdrHistogram itself.
It has no wheel for Linux on arm64: there the percentiles are computed here, to the same values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

try:
    from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]
except ImportError:  # Linux on arm64
    HdrHistogram = None

LONGEST_US: Final = 3_600_000_000
_SIGNIFICANT_DIGITS: Final = 3
_EXACT_BITS: Final = 11  # 2,048 buckets between two powers of two: three digits
_US_IN_S: Final = 1_000_000


class Latencies:
    """Counts by bucket, named by the least value in it."""

    def __init__(self, counts: Mapping[int, int] | None = None) -> None:
        self.counts: dict[int, int] = dict(counts or {})

    def record(self, seconds: float, count: int = 1) -> None:
        """``count`` latencies of that length; what is beyond an hour counts as an hour."""
        value = min(max(int(seconds * _US_IN_S), 1), LONGEST_US)
        shift = max(value.bit_length() - _EXACT_BITS, 0)
        bucket = value >> shift << shift
        self.counts[bucket] = self.counts.get(bucket, 0) + count

    def add(self, counts: Mapping[int, int]) -> None:
        """Takes in the counts of another."""
        for bucket, count in counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count

    def take(self) -> dict[int, int]:
        """The counts so far; begins anew."""
        counts, self.counts = self.counts, {}
        return counts

    @property
    def total(self) -> int:
        """How many were recorded."""
        return sum(self.counts.values())

    @property
    def mean_ms(self) -> float:
        """The mean, to the width of the buckets; 0 without any."""
        total = self.total
        whole_us = sum(_middle_us(bucket) * count for bucket, count in self.counts.items())
        return whole_us / total / 1_000 if total else 0.0

    def percentiles_ms(self, wanted: Sequence[float]) -> list[float]:
        """The latency that so many percent do not exceed, in ms; 0 without any."""
        if not self.counts:
            return [0.0] * len(wanted)
        hdr = self._hdr()
        if hdr is None:
            return [_percentile_us(self.counts, each) / 1_000 for each in wanted]
        found = hdr.get_percentile_to_value_dict(list(wanted))
        return [found[each] / 1_000 for each in wanted]

    def encoded(self) -> str | None:
        """HdrHistogram's own V2 form, for other tools; None where it is not installed."""
        hdr = self._hdr()
        return None if hdr is None else hdr.encode().decode("ascii")

    def _hdr(self) -> Any:
        if HdrHistogram is None:
            return None
        hdr = HdrHistogram(1, LONGEST_US, _SIGNIFICANT_DIGITS)
        for bucket, count in self.counts.items():
            hdr.record_value(bucket, count)
        return hdr


def _percentile_us(counts: Mapping[int, int], percent: float) -> int:
    """As HdrHistogram: the highest value of the bucket in which that many percent are reached, or
    for 0 the lowest."""
    wanted = max(int(percent * sum(counts.values()) / 100 + 0.5), 1)
    reached = 0
    bucket = 0
    for bucket in sorted(counts):
        reached += counts[bucket]
        if reached >= wanted:
            break
    return bucket + _width(bucket) - 1 if percent else bucket


def _width(bucket: int) -> int:
    return 1 << max(bucket.bit_length() - _EXACT_BITS, 0)


def _middle_us(bucket: int) -> float:
    return bucket + (_width(bucket) - 1) / 2
