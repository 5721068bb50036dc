"""What the checks of whole and of cut bundles share: whom to trust, the work on one part, headers and signatures.

The checks of a part are pure functions from bytes to findings, so that parts may be checked in other processes. The
order of all checks, and the verdict, are in `keeling.verify`.
"""

from __future__ import annotations

from typing import NamedTuple

from keeling.block import FORMAT, RULES_KNOWN, Header, compute_header_hash, parse_header
from keeling.bundle import BundleError, Failure, PartInfo, expect
from keeling.bundle_parts import Place, Selection
from keeling.ed25519 import check_signature
from keeling.encoding import EncodingError
from keeling.handover import Reign, find_reign
from keeling.submission import approval_message


class Trust(NamedTuple):
    """What is known to be true before any block is read: from the verifier's genesis file, the handovers that follow
    from it, and the final checkpoint at `height`."""

    network: bytes
    created_ms: int
    reigns: tuple[Reign, ...]
    height: int
    size: int
    root: bytes
    selection: Selection | None


class PartJob(NamedTuple):
    """One part of blocks to check. `is_last` tells whether it may end before it is full."""

    part: PartInfo
    data: bytes
    trust: Trust
    is_last: bool


class Tally(NamedTuple):
    """How much was checked."""

    blocks: int = 0
    submissions: int = 0
    transactions: int = 0
    accepted: int = 0
    sweeps: int = 0
    signatures: int = 0

    def plus(self, other: Tally) -> Tally:
        return Tally(*(one + two for one, two in zip(self, other, strict=True)))


class PartDone(NamedTuple):
    """What checking a part found. Leaf hashes stand one after the other; `first` and `last` are header leaves."""

    failure: Failure | None
    tally: Tally = Tally()
    leaf_hashes: bytes = b""
    first: bytes = b""
    last: bytes = b""


def check_header(leaf: bytes, trust: Trust, place: Place) -> Header:
    """The header in a closing leaf, if it is of this network, policy and a known version. Raises `BundleError`."""
    try:
        header = parse_header(leaf)
    except EncodingError as error:
        raise BundleError(place, "header leaf", "a header in canonical form", str(error)) from error
    expect(place, "format of the header", FORMAT, header.format)
    if header.rules not in RULES_KNOWN:
        known = ", ".join(map(str, RULES_KNOWN))
        raise BundleError(place, "version of the rules (a later release knows later ones)", known, header.rules)
    expect(place, "network in the header", trust.network, header.network)
    reign = find_reign(trust.reigns, header.height)
    expect(place, "policy in the header", reign.hash, header.policy)
    if header.height < trust.height:  # the last block may decide a policy whose handover no bundle to here carries
        after = find_reign(trust.reigns, header.height + 1)
        expect(place, "next policy in the header", after.hash, header.next_policy)
    if header.author not in reign.entry_keys:
        raise BundleError(place, "author in the header", "the entry key of a validator in force", header.author)
    return header


def check_link(before: bytes | None, leaf: bytes, trust: Trust, place: Place) -> None:
    """Refuse a header that does not follow the one `before` (None: is not the first). Raises `BundleError`."""
    header = parse_header(leaf)
    if before is None:
        previous, height, first_leaf, time_ms = trust.network, trust.reigns[0].since + 1, 0, trust.created_ms
    else:
        known = parse_header(before)
        previous, height = compute_header_hash(before), known.height + 1
        first_leaf, time_ms = known.first_leaf + known.leaves, known.time_ms
    expect(place, "height in the header", height, header.height)
    expect(place, "hash of the previous header", previous, header.previous)
    expect(place, "first leaf of the block", first_leaf, header.first_leaf)
    if header.time_ms < time_ms:
        raise BundleError(place, "ledger time of the block", f"at least {time_ms}", header.time_ms)


def check_approval(place: Place, network: bytes, digest: bytes, key: bytes, signature: bytes) -> None:
    """Refuse an approval of the transaction with this digest that its key did not sign. Raises `BundleError`."""
    if not check_signature(key, signature, approval_message(network, digest)):
        raise BundleError(place, f"approval by {key.hex()}", "a genuine signature", signature)


def check_refusal(place: Place, reason: int, events: bytes) -> None:
    """Refuse events of a transaction that was itself refused. Raises `BundleError`."""
    if reason and events:
        raise BundleError(
            place, f"events of a transaction refused with reason {reason}", "none", f"{len(events)} bytes"
        )
