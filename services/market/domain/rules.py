"""What a world is made by: fixed when its ledger is begun, and part of its first hash."""

from __future__ import annotations

from dataclasses import dataclass

from services.market.domain.settlement import CreditRule


@dataclass(frozen=True, slots=True)
class Rules:
    """The seed of all luck, the way to make a price, and how deep in debt a home may still buy."""

    seed: int
    price_model: str = "normalised"
    credit_limit_neur: int | None = None

    @property
    def credit(self) -> CreditRule:
        """The credit limit as settlement wants it."""
        return CreditRule(self.credit_limit_neur)
