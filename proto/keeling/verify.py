"""The verdict on an audit bundle: is everything in it what a quorum of the validators made final?

Needs the bundle and the verifier's own copy of the genesis file, and nothing else: no node, no network, no key that
came with the bundle. Checks run in a fixed order and stop at the first failure, which is named by place, subject, what
had to be there and what was found. Whether results follow from the rules is asked by re-executing, not here. Source:
architecture G7, G9, §4; review findings 20 and L3-L5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from keeling.block import parse_header
from keeling.bundle import (
    Buffer,
    Bundle,
    BundleError,
    Failure,
    Kind,
    copy_part,
    expect,
    parse_bundle,
    read_part,
)
from keeling.bundle_parts import HANDOVERS, SELECTION, Place, Selection
from keeling.checkpoint import FinalCheckpoint, check_final
from keeling.encoding import EncodingError
from keeling.genesis import Genesis, parse_genesis
from keeling.handover import HandoverRefused, Reign, read_genesis_reign, walk_handovers
from keeling.merkle import EMPTY_FRONTIER, Frontier
from keeling.note import NoteRefused
from keeling.strict import HASH_BYTES, FormatError
from keeling.verify_block import PartDone, PartJob, Tally, Trust, check_link
from keeling.verify_cut import check_cut_part
from keeling.verify_whole import check_whole_part
from keeling.votes import CERTIFICATE, Certificate, VoteError, check_certificate

CheckPart = Callable[[PartJob], PartDone]
RunParts = Callable[[CheckPart, Iterable[PartJob]], Iterable[PartDone]]
"""Calls a function with every job and gives the answers in order, as `map` does; another may use other processes."""
Progress = Callable[[int, int], None]
"""Told after every part: bytes checked, bytes in all."""


class Facts(NamedTuple):
    """What a bundle without failure proves: the log, the height it is final to, who signed, and what is shown of it."""

    kind: Kind
    origin: str
    network: bytes
    height: int
    size: int
    root: bytes
    signers: tuple[str, ...]
    tally: Tally
    selection: Selection | None


class Verdict(NamedTuple):
    """Either a failure, or facts."""

    failure: Failure | None
    facts: Facts | None

    @property
    def headline(self) -> str:
        """The verdict in one sentence."""
        if self.facts is None:
            return f"NOT intact: {self.failure}"
        return f"intact and final to height {self.facts.height}"

    @property
    def scope(self) -> str:
        """What is shown, and what that does not prove."""
        if self.facts is None:
            return ""
        tally, selection = self.facts.tally, self.facts.selection
        if selection is None:
            return (
                f"every block from genesis to height {self.facts.height}: {_amount(tally.transactions, 'transaction')}"
            )
        shown = f"{_amount(tally.transactions, 'transaction')} and {_amount(tally.sweeps, 'event')} of expiry"
        return f"{shown} of {selection}; proves these, and nothing about what is not shown"


def _amount(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def verify_bundle(
    data: Buffer, genesis: bytes, run: RunParts = map, progress: Progress = lambda done, total: None
) -> Verdict:
    """Check a bundle against the verifier's own genesis file. Raises `GenesisError` for a file that is none."""
    known = parse_genesis(genesis)
    read_genesis_reign(known)
    try:
        bundle = parse_bundle(data)
        return Verdict(None, _check_bundle(bundle, known, run, progress))
    except BundleError as error:
        return Verdict(error.failure, None)


def _check_bundle(bundle: Bundle, genesis: Genesis, run: RunParts, progress: Progress) -> Facts:
    manifest = bundle.manifest
    expect("manifest", "network (SHA-256 of the genesis file)", genesis.network, manifest.network)
    reigns = _check_handovers(bundle, genesis)
    final = _check_checkpoint(bundle, reigns[-1])
    certificate = _check_certificate(bundle, reigns[-1])
    _check_agreement(bundle, genesis, final, certificate)
    trust = Trust(
        network=genesis.network,
        created_ms=genesis.created_ms,
        reigns=reigns,
        height=manifest.height,
        size=final.checkpoint.size,
        root=final.checkpoint.root,
        selection=_read_selection(bundle),
    )
    if manifest.kind is Kind.WHOLE:
        tally = _check_log(bundle, trust, certificate, run, progress)
    else:
        tally = Tally()
        for done in _run_parts(bundle, trust, check_cut_part, run, progress):
            tally = tally.plus(done.tally)
    head = final.checkpoint
    facts = (genesis.origin, genesis.network, manifest.height, head.size, head.root, final.signers)
    return Facts(manifest.kind, *facts, tally, trust.selection)


def _check_handovers(bundle: Bundle, genesis: Genesis) -> tuple[Reign, ...]:
    """From the policy of genesis to the one that certified the bundle's last block, every change of it."""
    try:
        reigns = walk_handovers(genesis, HANDOVERS.decode(read_part(bundle, 2)))
    except EncodingError as error:
        raise BundleError("part handovers", "form", "a list of handovers", str(error)) from error
    except HandoverRefused as refused:
        raise BundleError(
            "part handovers", "changes of policy", "each certified by the one before", str(refused)
        ) from (refused)
    if reigns[-1].since >= bundle.manifest.height:
        expected = f"below {bundle.manifest.height}"
        raise BundleError("part handovers", "height of the last change of policy", expected, reigns[-1].since)
    return reigns


def _check_checkpoint(bundle: Bundle, reign: Reign) -> FinalCheckpoint:
    try:
        return check_final(read_part(bundle, 0), reign.policy)
    except (FormatError, NoteRefused) as error:
        expected = f"a final checkpoint of {reign.policy.origin} under the policy {_say_since(reign)}"
        raise BundleError("part checkpoint", "signed note", expected, str(error)) from error


def _say_since(reign: Reign) -> str:
    return f"since height {reign.since}" if reign.since else "of genesis"


def _check_certificate(bundle: Bundle, reign: Reign) -> Certificate:
    voters = reign.voters
    try:
        certificate = CERTIFICATE.decode(read_part(bundle, 1))
        check_certificate(certificate, voters)
    except (EncodingError, VoteError) as error:
        expected = f"{voters.quorum} LOCKs under policy {reign.hash.hex()}"
        raise BundleError("part certificate", "signatures", expected, str(error)) from error
    return certificate


def _check_agreement(bundle: Bundle, genesis: Genesis, final: FinalCheckpoint, certificate: Certificate) -> None:
    """Certificate, checkpoint and manifest speak of one block."""
    lock, place = certificate.lock, "part certificate"
    expect(place, "network", genesis.network, lock.network)
    expect(place, "height", bundle.manifest.height, lock.height)
    expect(place, "tree size (as in the checkpoint)", final.checkpoint.size, lock.size)
    expect(place, "root (as in the checkpoint)", final.checkpoint.root, lock.root)


def _read_selection(bundle: Bundle) -> Selection | None:
    if bundle.manifest.kind is Kind.WHOLE:
        return None
    try:
        return SELECTION.decode(read_part(bundle, 3))
    except EncodingError as error:
        raise BundleError("part selection", "form", "account and period", str(error)) from error


def _run_parts(bundle: Bundle, trust: Trust, check: CheckPart, run: RunParts, progress: Progress) -> Iterator[PartDone]:
    parts = bundle.manifest.parts
    ordinals = range(bundle.fixed, len(parts))
    total = sum(parts[ordinal].size for ordinal in ordinals)
    jobs = (PartJob(parts[n], copy_part(bundle, n), trust, n == len(parts) - 1) for n in ordinals)
    checked = 0
    for ordinal, done in zip(ordinals, run(check, jobs), strict=True):
        if done.failure is not None:
            raise BundleError(*done.failure)
        checked += parts[ordinal].size
        progress(checked, total)
        yield done


def _check_log(bundle: Bundle, trust: Trust, certificate: Certificate, run: RunParts, progress: Progress) -> Tally:
    """Every leaf from the first on is hashed into one tree, which must be the one the validators signed."""
    tally, tree = Tally(), EMPTY_FRONTIER
    before: bytes | None = None
    results = _run_parts(bundle, trust, check_whole_part, run, progress)
    for part, done in zip(bundle.manifest.parts[bundle.fixed :], results, strict=True):
        check_link(before, done.first, trust, Place(part.name, parse_header(done.first).height))
        before = done.last
        tally = tally.plus(done.tally)
        tree = _grow(tree, done.leaf_hashes)
    if before is None:
        raise BundleError("manifest", "parts of blocks", "at least one", 0)
    last = parse_header(before)
    place = Place(bundle.manifest.parts[-1].name, last.height)
    expect(place, "digest of the last entry (as in the certificate)", certificate.lock.entry, last.entry)
    expect(place, "leaves in all (as in the checkpoint)", trust.size, tree.size)
    expect(place, "root over all leaves (as in the checkpoint)", trust.root, tree.root())
    return tally


def _grow(tree: Frontier, hashes: bytes) -> Frontier:
    return tree.extend([hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]).frontier
