"""Which queues a message reaches: the broker's exchanges, for the memory bus."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from energymarket.errors import BusError
from energymarket.topology import Binding, Exchange

QueueT = TypeVar("QueueT")

_MAX_REMEMBERED: Final = 10_000


def key_matches(pattern: str, routing_key: str) -> bool:
    """Whether a topic pattern takes the key: ``*`` is one word, ``#`` any number of them."""
    return _words_match(_words(pattern), _words(routing_key))


def _words(key: str) -> list[str]:
    return key.split(".") if key else []


def _words_match(pattern: list[str], words: list[str]) -> bool:
    if not pattern:
        return not words
    first, rest = pattern[0], pattern[1:]
    if first == "#":
        return any(_words_match(rest, words[taken:]) for taken in range(len(words) + 1))
    return bool(words) and first in ("*", words[0]) and _words_match(rest, words[1:])


class Router(Generic[QueueT]):
    """Exchanges and their bindings to queues of any type."""

    def __init__(self) -> None:
        self._exchanges: dict[str, Exchange] = {}
        self._bindings: dict[str, dict[tuple[str, int], QueueT]] = {}
        self._remembered: dict[tuple[str, str], tuple[QueueT, ...]] = {}

    def __contains__(self, exchange: str) -> bool:
        return exchange in self._exchanges

    def declare(self, exchange: Exchange) -> None:
        """Makes the exchange; raises ``BusError`` when it exists as another kind."""
        existing = self._exchanges.setdefault(exchange.name, exchange)
        if existing != exchange:
            raise BusError(
                f"exchange {exchange.name} exists as {existing.kind}, not as {exchange.kind}; "
                "delete it, or give the new one another name"
            )
        self._bindings.setdefault(exchange.name, {})

    def bind(self, binding: Binding, queue: QueueT) -> None:
        """Routes to ``queue`` from now on; raises ``BusError`` when there is no such exchange."""
        if binding.exchange not in self._exchanges:
            raise BusError(f"no exchange {binding.exchange} to bind {binding.queue} to; declare it")
        self._bindings[binding.exchange][binding.routing_key, id(queue)] = queue
        self._remembered.clear()

    def unbind(self, queue: QueueT) -> None:
        """Removes all bindings of ``queue``."""
        for bindings in self._bindings.values():
            for key in [key for key, bound in bindings.items() if bound is queue]:
                del bindings[key]
        self._remembered.clear()

    def queues_for(self, exchange: str, routing_key: str) -> tuple[QueueT, ...]:
        """The queues bound for the key, each once; raises ``KeyError`` for no such exchange."""
        found = self._remembered.get((exchange, routing_key))
        if found is None:
            found = self._find(exchange, routing_key)
            if len(self._remembered) >= _MAX_REMEMBERED:
                self._remembered.clear()
            self._remembered[exchange, routing_key] = found
        return found

    def _find(self, exchange: str, routing_key: str) -> tuple[QueueT, ...]:
        kind = self._exchanges[exchange].kind
        found = {
            identity: queue
            for (pattern, identity), queue in self._bindings[exchange].items()
            if kind == "fanout"
            or (kind == "direct" and pattern == routing_key)
            or (kind == "topic" and key_matches(pattern, routing_key))
        }
        return tuple(found.values())
