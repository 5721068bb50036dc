"""Policies of made-up validators, for tests that need one but are not about it."""

from __future__ import annotations

import hashlib

from keeling.ed25519 import public_key
from keeling.note import KeyType, NoteKey
from keeling.policy import Policy, Validator

ORIGIN = "test.example/w"


def seed_of(role: str) -> bytes:
    """The private seed of the single validator's key in this role."""
    return hashlib.sha256(role.encode()).digest()


def one_validator_policy() -> Policy:
    """A network of one."""
    name = "test.example/w-one"
    log = NoteKey(ORIGIN, KeyType.PLAIN, public_key(seed_of("log")))
    cosigner = NoteKey(name, KeyType.COSIGNATURE, public_key(seed_of("cosigner")))
    return Policy(ORIGIN, (Validator("one", log, cosigner, public_key(seed_of("vote"))),))
