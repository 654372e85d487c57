"""Bookkeeping of AMQP's two kinds of delivery tags; pure, no driver.

Published messages are numbered by the publisher and confirmed by the broker; delivered messages are
numbered by the broker and acknowledged by us. Either may name one tag, or all tags up to one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from energymarket.bus.port import Delivery


class Outgoing(NamedTuple):
    """A message on its way out, encoded."""

    exchange: str
    routing_key: str
    kind: str
    body: bytes
    persistent: bool
    mandatory: bool
    headers: dict[str, str] | None = None


class Batch:
    """What was published together, and the deliveries to settle when all of it is confirmed.

    Its messages come in parts, the last of which says so. Without messages the deliveries are
    settled at once. ``failed`` ones are given back to their queue, the others acknowledged.
    """

    __slots__ = ("all_sent", "deliveries", "failed", "unconfirmed")

    def __init__(self, deliveries: Sequence[Delivery]) -> None:
        self.deliveries = deliveries
        self.failed = False
        self.unconfirmed = 0
        """Messages that were sent and are not confirmed yet."""
        self.all_sent = False

    @property
    def complete(self) -> bool:
        """The broker has spoken on all of it."""
        return self.all_sent and not self.unconfirmed


class Part(NamedTuple):
    """Messages of a batch that go out now, while the next ones are still being made."""

    batch: Batch
    messages: Sequence[Outgoing]
    is_last: bool = True


class Confirms:
    """Which published messages of one channel are not yet confirmed, and what waits for them."""

    def __init__(self) -> None:
        self._batches: dict[int, Batch] = {}  # in the order of the tags, for they only grow
        self._last_tag = 0

    def __len__(self) -> int:
        return len(self._batches)

    def expect(self, batch: Batch) -> None:
        """Counts one published message of ``batch``; call it once per publication, in order."""
        self._last_tag += 1
        batch.unconfirmed += 1
        self._batches[self._last_tag] = batch

    def settle(self, tag: int, *, multiple: bool, confirmed: bool) -> tuple[int, list[Batch]]:
        """The broker's word on a tag, or on all up to it: (messages settled, batches complete)."""
        tags = self._named(tag, multiple)
        complete = []
        for each in tags:
            batch = self._batches.pop(each)
            batch.unconfirmed -= 1
            batch.failed |= not confirmed
            if batch.complete:
                complete.append(batch)
        return len(tags), complete

    def _named(self, tag: int, multiple: bool) -> list[int]:
        if not multiple:
            return [tag] if tag in self._batches else []
        tags = []
        for each in self._batches:
            if each > tag:
                break
            tags.append(each)
        return tags


class Unacknowledged:
    """The deliveries of one channel that still have to be acknowledged, oldest first."""

    def __init__(self) -> None:
        self._tags: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._tags)

    def add(self, tag: int) -> None:
        """A message was delivered; tags only grow."""
        self._tags[tag] = None

    def settle(self, tags: Collection[int]) -> list[tuple[int, bool]]:
        """Takes tags off; gives the fewest (tag, multiple) that say so to the broker.

        What stands at the front is told with one ``multiple``, for nothing older is left that this
        would settle by mistake. Tags that are not outstanding are left out: a broker closes the
        channel over an unknown one.
        """
        settled = {tag for tag in tags if tag in self._tags}
        front = []
        for tag in self._tags:
            if tag not in settled:
                break
            front.append(tag)
        rest = settled.difference(front)
        for tag in settled:
            del self._tags[tag]
        told = [(tag, False) for tag in sorted(rest)]
        return [(front[-1], len(front) > 1), *told] if front else told
