"""Why something was not taken: words on the wire, of the dead letters and of the metrics.

What they mean stands in docs/interfaces.md. As types, so that no other word can be given.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

RefusalReason = Literal[
    "full",
    "unknown_fleet",
    "wrong_run",
    "not_your_home",
    "not_open",
    "not_in_roster",
    "stock_mismatch",
    "wrong_policy",
    "impossible_amount",
    "account_full",
    "different_copy",
    "trimmed",
]
"""Of what a fleet is answered with: ``Refused.reason``."""

DeadLetterReason = Literal["malformed", "oversized", "unexpected", "wrong_secret", "wrong_run"]
"""Of what cannot even be answered: the header ``x-reason``."""

REFUSAL_REASONS: Final[tuple[RefusalReason, ...]] = get_args(RefusalReason)
DEAD_LETTER_REASONS: Final[tuple[DeadLetterReason, ...]] = get_args(DeadLetterReason)
