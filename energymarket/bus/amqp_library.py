"""What the link of a bus asks of a library that speaks AMQP; ``rabbit`` has it from pika."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from energymarket.bus.amqp_frames import Arrived
from energymarket.bus.amqp_tags import Outgoing


class AmqpLibrary(Protocol):
    """Connections, channels and frames are the library's own; the link calls their methods by the
    names that pika gives them."""

    def new_loop(self) -> Any:
        """An I/O loop."""

    def connect(
        self,
        loop: Any,
        on_open: Callable[[Any], None],
        on_end: Callable[[Any, Exception], None],
    ) -> Any:
        """Begins to connect; ``on_end`` is told when that fails, and when the connection ends."""

    def facts(self, error: Exception) -> tuple[int, str]:
        """AMQP's reply code and the reason of an error of the library's."""

    def was_closed_by_us(self, error: Exception) -> bool:
        """Whether a connection ended because it was asked to."""

    def is_ack(self, method: Any) -> bool:
        """Whether the broker's word on a publication is that it has it."""

    def publish(self, channel: Any, message: Outgoing, properties: dict[str, Any]) -> None:
        """Publishes with properties that may have headers."""

    def taking(self, take: Callable[[Arrived], None]) -> Callable[..., None]:
        """``take`` in the form of a consumer's callback."""
