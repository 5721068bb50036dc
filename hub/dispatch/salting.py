"""Salts of what is instructed: whoever reads a dispatch on the ledger must not be able to try what its message may say.

Every process of one hub makes the same salt for the same hold, from a key and nothing else: its folder may be gone.
Which messages there are is in `wording`, which file has the secret in `hub.service`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

SECRET_LEAST: Final = 32
"""Characters of a secret: whoever guesses it can try messages."""
_DOMAIN: Final = b"keeling/instruction-salt/v1\n"
"""What the signing key signs for this alone. No approval, submission or login begins so."""


class Digests(NamedTuple):
    """What a dispatch of the same messages may have on the ledger: `now` is what is dispatched from here."""

    now: bytes
    before: frozenset[bytes]
    """Under secrets of before, and without any salt, as hubs dispatched before they had one."""

    def match(self, instruction: bytes) -> bool:
        return instruction == self.now or instruction in self.before


NO_DIGESTS: Final = Digests(b"", frozenset())
"""Of messages that were not made yet."""


def derive_salt_key(sign: Callable[[bytes], bytes], network: bytes) -> bytes:
    """The key of salts for processes that sign with one key: a signature that is the same each time (RFC 8032, §5.1.6)
    and that nobody else can make. It is shown to nobody.
    """
    return hashlib.sha256(_DOMAIN + sign(_DOMAIN + network)).digest()


def read_salt_keys(text: str) -> tuple[bytes, ...]:
    """The keys of a file of secrets, a line each, the newest first; raises `ValueError`."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or any(len(line) < SECRET_LEAST for line in lines):
        raise ValueError(f"a secret of {SECRET_LEAST} characters or more in each line is needed")
    return tuple(hashlib.sha256(_DOMAIN + line.encode()).digest() for line in lines)


def write_document(bodies: Iterable[bytes], salt_key: bytes, hold: bytes) -> bytes:
    """Salt and messages, as they are kept for auditors: the SHA-256 of this is what a dispatch says."""
    salt = hmac.digest(salt_key, hold, "sha256")
    parts = [b"keeling instruction 1\nhold %s\nsalt %s\n" % (hold.hex().encode(), salt.hex().encode())]
    parts += [b"message %d\n%s\n" % (len(body), body) for body in bodies]
    return b"".join(parts)


def compute_digests(bodies: Iterable[bytes], salt_keys: Iterable[bytes], hold: bytes) -> Digests:
    """All that these messages may be known by; the first key is the one in use."""
    said = list(bodies)
    now, *before = (hashlib.sha256(write_document(said, key, hold)).digest() for key in salt_keys)
    plain = [hashlib.sha256(body).digest() for body in said]
    bare = plain[0] if len(plain) == 1 else hashlib.sha256(b"".join(plain)).digest()
    return Digests(now, frozenset([*before, bare]))
