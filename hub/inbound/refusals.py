"""Why something a registry sent is not taken: stable names, each with the HTTP status it is answered with. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple


class Why(StrEnum):
    """Names are stable; people and programs may rely on them."""

    TOO_LARGE = "too-large"
    TOO_SLOW = "too-slow"
    """The body did not come to its end in time."""
    NO_SIGNATURE = "no-signature"
    BAD_SIGNATURE = "bad-signature"
    """Made with no key known for this registry, or over something else."""
    UNKNOWN_KEY = "unknown-key"
    BODY_CHANGED = "body-changed"
    """The signature holds, and the body is not the one it speaks of."""
    TOO_OLD = "too-old"
    FROM_THE_FUTURE = "from-the-future"
    REPLAYED = "replayed"
    """The same message was taken before; nothing was done again."""
    ID_REUSED = "id-reused"
    """Another message under an id that was taken before."""
    UNKNOWN_REGISTRY = "unknown-registry"
    WRONG_SHAPE = "wrong-shape"
    """Signed, and not in the registry's language."""
    OVERLAPPING_RANGES = "overlapping-ranges"
    """One message names the same units twice."""
    QUANTITY_DISAGREES = "quantity-disagrees"
    """The stated quantity is not that of the serials."""
    FOREIGN_SERIALS = "foreign-serials"
    """Serials of another registry."""
    UNKNOWN_UNITS = "unknown-units"
    """Units that no batch on this ledger has."""
    UNDER_WAY = "under-way"
    """It may be what an instruction on these units asked for, and the ledger does not show that yet."""
    NOTHING_TO_REVERSE = "nothing-to-reverse"
    """An end was taken back that is not known here: news out of order, told again by polling."""
    LEDGER_REFUSED = "ledger-refused"
    TRY_AGAIN = "try-again"
    """The ledger did not answer, or no key of the registry can be used; the sender should send it again."""
    UNREADABLE = "unreadable"
    """A file that may not be read here, or is gone."""


STATUS: Final = {
    Why.TOO_LARGE: 413,
    Why.TOO_SLOW: 408,
    Why.NO_SIGNATURE: 401,
    Why.BAD_SIGNATURE: 401,
    Why.UNKNOWN_KEY: 401,
    Why.BODY_CHANGED: 401,
    Why.TOO_OLD: 401,
    Why.FROM_THE_FUTURE: 401,
    Why.REPLAYED: 200,
    Why.ID_REUSED: 409,
    Why.UNKNOWN_REGISTRY: 404,
    Why.WRONG_SHAPE: 422,
    Why.OVERLAPPING_RANGES: 422,
    Why.QUANTITY_DISAGREES: 422,
    Why.FOREIGN_SERIALS: 422,
    Why.UNKNOWN_UNITS: 422,
    Why.UNDER_WAY: 422,
    Why.NOTHING_TO_REVERSE: 422,
    Why.LEDGER_REFUSED: 422,
    Why.TRY_AGAIN: 503,
    Why.UNREADABLE: 503,
}
"""A repeat is answered as delivered: its sender did not hear the first answer."""


class Refusal(NamedTuple):
    """It was not taken."""

    why: Why
    detail: str


class Verified(NamedTuple):
    """Who said it is known. `id` tells one message from another; `of_ledger`: signed by the registry's ledger key."""

    id: str
    at_ms: int
    key: str
    of_ledger: bool = False
