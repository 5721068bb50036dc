"""The keys a validator signs with. Secrets stay with whoever made the functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

Sign = Callable[[bytes], bytes]
"""message -> 64 bytes of signature."""


class ValidatorKeys(NamedTuple):
    """The keys of a validator that a chain signs with; None in an observer. Entries are signed by their author."""

    vote_key: bytes
    vote: Sign
    log: Sign
    cosigner: Sign


class Author(NamedTuple):
    """The key that signs this node's entries."""

    key: bytes
    sign: Sign
