"""What callers may send as JSON: of a beneficiary the salted hash, and never a name."""

from __future__ import annotations

import json

import pytest

from hub.service.bodies import read_hold
from hub.service.problems import Problem
from keeling.disclosure import Disclosure, Field, compute_digest

BODY = {"account": "acme/puro", "units": 5, "purpose": "retire", "expires_ms": 1}
DIGEST = compute_digest(Disclosure(b"\x21" * 32, (Field("beneficiary", "Acme Ltd"),)))


def test_a_hold_takes_the_digest_of_an_attachment() -> None:
    found = read_hold(json.dumps(BODY | {"beneficiary": DIGEST.hex()}).encode(), b"\x01" * 16)
    assert (found.hold, found.account, found.beneficiary) == (b"\x01" * 16, "acme/puro", DIGEST)
    assert read_hold(json.dumps(BODY).encode(), b"\x01" * 16).beneficiary == b""


@pytest.mark.parametrize("beneficiary", ["Acme Ltd", DIGEST.hex()[:-2], DIGEST.hex().upper(), 7, None])
def test_a_hold_takes_no_name(beneficiary: object) -> None:
    with pytest.raises(Problem, match="beneficiary: "):
        read_hold(json.dumps(BODY | {"beneficiary": beneficiary}).encode(), b"\x01" * 16)
