"""Keys that registries sign with. Read anew for every message, so that they can be replaced while the hub runs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple


class KeyKind(StrEnum):
    """What a key signs with."""

    HMAC_SHA256 = "hmac-sha256"
    """A shared secret of 24 to 64 bytes: proves the sender only to whoever shares it."""
    ED25519 = "ed25519"
    """A public key of 32 bytes."""


class InboundKey(NamedTuple):
    """One key of one registry; several at a time while one replaces another."""

    name: str
    """Key id, as the registry writes it."""
    kind: KeyKind
    material: bytes
    of_ledger: bool = False
    """The registry's own key on the ledger: what it signs has grade A."""


Keys = Callable[[str], Sequence[InboundKey]]
"""The keys of a registry, by its name on the ledger; none: nothing is taken from it."""


class KeyTextError(ValueError):
    """The text is no key; it says what one looks like and never shows the text."""


def parse_key(name: str, text: str, *, of_ledger: bool = False) -> InboundKey:
    """Read `whsec_…` (shared secret) or `whpk_…` (Ed25519 public key), base64 as in Standard Webhooks."""
    for prefix, kind, sizes in (
        ("whsec_", KeyKind.HMAC_SHA256, range(24, 65)),
        ("whpk_", KeyKind.ED25519, range(32, 33)),
    ):
        if text.startswith(prefix):
            try:
                material = base64.b64decode(text.removeprefix(prefix), validate=True)
            except binascii.Error as error:
                raise KeyTextError(f"key {name}: what follows {prefix} is not base64") from error
            if len(material) not in sizes:
                raise KeyTextError(f"key {name} has {len(material)} bytes, not {sizes.start} to {sizes.stop - 1}")
            return InboundKey(name, kind, material, of_ledger)
    raise KeyTextError(f"key {name}: a shared secret begins with whsec_, a public key with whpk_")
