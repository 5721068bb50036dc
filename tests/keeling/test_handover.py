"""Handovers lead from genesis to today's policy, and nothing else does: vectors, each check by its own forgery."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from keeling.block import format_header, parse_header
from keeling.bundle import Failure, parse_bundle
from keeling.bundle_parts import HANDOVERS
from keeling.genesis import GenesisError, parse_genesis
from keeling.handover import Handover, HandoverRefused, find_reign, read_genesis_reign, walk_handovers
from keeling.policy import format_policy, parse_policy
from keeling.verify import verify_bundle
from tests.keeling.bundle_forgery import parts_of, seal
from tests.keeling.log_samples import read_vectors

STRIDE = 5
"""Of a bundle's handovers every fifth byte is tried."""


@cache
def vectors() -> Any:
    return read_vectors("handovers.json")


def genesis() -> bytes:
    return bytes.fromhex(vectors()["genesis"])


def bundle_of(name: str) -> bytes:
    return bytes.fromhex(next(item["bytes"] for item in vectors()["bundles"] if item["name"] == name))


def handovers() -> list[Handover]:
    return list(HANDOVERS.decode(parts_of(parse_bundle(bundle_of("whole")))[2]))


def with_handovers(name: str, changed: list[Handover]) -> Failure | None:
    bundle = parse_bundle(bundle_of(name))
    parts = parts_of(bundle)
    parts[2] = HANDOVERS.encode(tuple(changed))
    return verify_bundle(seal(bundle, parts), genesis()).failure


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_recorded_bundle_over_changes_of_policy_is_good(name: str) -> None:
    recorded = next(item for item in vectors()["bundles"] if item["name"] == name)
    verdict = verify_bundle(bundle_of(name), genesis())
    assert verdict.failure is None
    assert (verdict.headline, verdict.scope) == (recorded["verdict"], recorded["scope"])


def test_every_height_has_its_policy() -> None:
    reigns = walk_handovers(parse_genesis(genesis()), handovers())
    assert [reign.since for reign in reigns] == [0, 2, 3, 4]
    sizes = [len(find_reign(reigns, height).policy.validators) for height in range(1, 7)]
    assert sizes == [4, 4, 5, 5, 3, 3]
    assert [find_reign(reigns, height).policy.quorum for height in (1, 3, 5)] == [3, 4, 3]
    assert len({reign.hash for reign in reigns}) == 4


@pytest.mark.parametrize("name", ["whole", "cut"])
def test_every_changed_byte_of_the_handovers_is_caught(name: str) -> None:
    bundle = parse_bundle(bundle_of(name))
    parts = parts_of(bundle)
    for at in range(0, len(parts[2]), STRIDE):
        changed = bytearray(parts[2])
        changed[at] ^= 0x80 >> (at % 8)
        forged = seal(bundle, [*parts[:2], bytes(changed), *parts[3:]])
        assert verify_bundle(forged, genesis()).failure is not None, f"byte {at}"


def in_policy(handover: Handover, **fields: Any) -> Handover:
    return handover._replace(policy=format_policy(parse_policy(handover.policy)._replace(**fields)))


def in_header(handover: Handover, **fields: Any) -> Handover:
    return handover._replace(header=format_header(parse_header(handover.header)._replace(**fields)))


def in_lock(handover: Handover, **fields: Any) -> Handover:
    certificate = handover.certificate
    return handover._replace(certificate=certificate._replace(lock=certificate.lock._replace(**fields)))


FORGERIES: list[tuple[str, Callable[[list[Handover]], list[Handover]]]] = [
    ("one is left out", lambda found: [found[0], found[2]]),
    ("the first is left out", lambda found: found[1:]),
    ("two are swapped", lambda found: [found[1], found[0], found[2]]),
    ("one stands twice", lambda found: [found[0], *found]),
    ("another file", lambda found: [found[0]._replace(policy=found[1].policy), *found[1:]]),
    ("a file without one validator", lambda f: [in_policy(f[0], validators=parse_policy(f[0].policy).validators[:4])]),
    ("a file since another height", lambda found: [in_policy(found[0], since=3), *found[1:]]),
    ("another header", lambda found: [in_header(found[0], epoch=1), *found[1:]]),
    ("a longer proof", lambda found: [found[0]._replace(proof=(*found[0].proof, bytes(32))), *found[1:]]),
    ("another lock", lambda found: [in_lock(found[0], epoch=1), *found[1:]]),
    ("a certificate of other signers", lambda found: [found[0]._replace(certificate=found[2].certificate)]),
]


@pytest.mark.parametrize("name", ["whole", "cut"])
@pytest.mark.parametrize("change", [row[1] for row in FORGERIES], ids=[row[0] for row in FORGERIES])
def test_forged_handover_is_named(name: str, change: Callable[[list[Handover]], list[Handover]]) -> None:
    failure = with_handovers(name, change(handovers()))
    assert failure is not None
    assert (failure.where, failure.what) == ("part handovers", "changes of policy")


def test_last_handover_must_be_there_and_none_above_the_bundle() -> None:
    for name in ("whole", "cut"):
        failure = with_handovers(name, handovers()[:2])
        assert failure is not None
        assert failure.where == "part checkpoint"
    bundle = parse_bundle(bundle_of("cut"))
    lower = seal(bundle._replace(manifest=bundle.manifest._replace(height=4)), parts_of(bundle))
    failure = verify_bundle(lower[: len(lower)], genesis()).failure
    assert failure is not None


def test_handovers_of_another_network_are_refused() -> None:
    known = parse_genesis(genesis())
    with pytest.raises(HandoverRefused, match="handover 1"):
        walk_handovers(known._replace(network=bytes(32)), handovers())
    with pytest.raises(GenesisError, match="policy in the genesis file"):
        read_genesis_reign(known._replace(origin="other.example"))
    with pytest.raises(GenesisError, match="policy in the genesis file"):
        read_genesis_reign(known._replace(policy=handovers()[0].policy))
