"""The certificate of units that ended: what a buyer keeps, and the check that needs nothing but a genesis file.

A certificate carries the audit bundles of the blocks in which the units ended, and, after a reversal, of those in which
that was taken back. What it says must be found in them. It proves positions of a batch, account, times, the registry's
reference and the grade; how the registry prints those positions is stated beside them. Whoever has the attachment may
add what of it is to be read: the salted hash in the proof is then that of a name. Proofs show what happened and never
that nothing else did: neither an older copy nor whoever leaves a reversal out on purpose tells of it, and the verdict
says up to which height it speaks. Source: architecture G9, G11; gathering is not done here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

from keeling.block import parse_header
from keeling.bundle import BundleError, Kind, parse_bundle, read_part
from keeling.bundle_parts import CUT_BLOCK, format_time, read_block, read_events
from keeling.disclosure import DisclosureError, Excerpt, compute_excerpt_digest, hear_excerpt, tell_excerpt
from keeling.encoding import EncodingError
from keeling.events import Event, EventKind
from keeling.operations import When, WhenPrecision
from keeling.verify import verify_bundle

FORMAT: Final = "keeling/certificate/v1"
CERTIFICATE_BYTES_MAX: Final = 16 << 20
ENDINGS: Final = {"RETIRED": EventKind.RETIRED, "USED": EventKind.USED, "CANCELLED": EventKind.CANCELLED}
_TEXTS: Final = (
    *("network", "hold", "ended", "event", "registry", "reference", "grade", "account", "beneficiary", "effective"),
    *("recorded", "driver"),
)
_PLACE: Final = re.compile(r"(0|[1-9]\d{0,19})\.(0|[1-9]\d{0,9})", re.ASCII)
DRIVERS: Final = ("live", "sandbox", "file", "")


class CertificateError(ValueError):
    """It is no certificate, or it says what its proof does not; the text says where."""


class Stretch(NamedTuple):
    """Positions of a batch, and the registry's name of them."""

    batch: str
    first: int
    units: int
    serials: str


class Purpose(NamedTuple):
    """What units were used for, as the event says it: NDC, OIMP or COMPLIANCE, and what goes with it."""

    use: str
    year: str
    scheme: str
    entity: str


class Origin(NamedTuple):
    """What the units of a batch are, as whoever made this states it from the ledger's records. No proof shows it."""

    batch: str
    programme: str
    project: str
    host: str
    vintage: str


class Withdrawal(NamedTuple):
    """An event that took back some of what had ended."""

    event: str
    recorded: str
    reason: str
    reference: str
    lots: tuple[Stretch, ...]


class Certificate(NamedTuple):
    """One capture. Times are ISO 8601 in UTC, places HEIGHT.ORDINAL, digests hex."""

    network: str
    hold: str
    ended: str
    """RETIRED, USED or CANCELLED."""
    event: str
    registry: str
    reference: str
    """What the registry calls it."""
    grade: str
    account: str
    beneficiary: str
    """Salted hash, as on the ledger; empty: none was said."""
    effective: str
    recorded: str
    grain: str
    lots: tuple[Stretch, ...]
    withdrawals: tuple[Withdrawal, ...]
    proofs: tuple[bytes, ...]
    """Audit bundles."""
    driver: str = ""
    """How the registry was reached, as whoever made this says: "live"; "sandbox": no real registry; "file"; or empty:
    it does not say. No proof shows it."""
    disclosure: Excerpt | None = None
    """What a party made readable of the disclosure that `beneficiary` is the digest of."""
    purpose: Purpose | None = None
    """Of a use."""
    origins: tuple[Origin, ...] = ()
    """Of each batch in `lots`, once."""

    @property
    def units(self) -> int:
        return sum(lot.units for lot in self.lots)

    @property
    def withdrawn_units(self) -> int:
        return sum(lot.units for each in self.withdrawals for lot in each.lots)

    @property
    def status(self) -> str:
        """ "standing", "partly withdrawn" or "withdrawn"."""
        if not self.withdrawn_units:
            return "standing"
        return "withdrawn" if self.withdrawn_units >= self.units else "partly withdrawn"


class Standing(NamedTuple):
    """What a certificate proves, and up to which height it speaks."""

    status: str
    units: int
    withdrawn_units: int
    height: int
    """The newest block in which something that it tells happened."""
    proved_at: int
    """The newest height to which a proof is final: whoever made it could have known what happened until then."""
    origin: str


def format_certificate(certificate: Certificate) -> bytes:
    """The JSON document: one spelling for one certificate. It has no `<`, so that it can lie inside a page."""
    told: dict[str, Any] = {name: getattr(certificate, name) for name in (*_TEXTS, "grain", "status")}
    told |= {
        "format": FORMAT,
        "units": str(certificate.units),
        "lots": [_tell_stretch(lot) for lot in certificate.lots],
        "withdrawals": [
            each._asdict() | {"lots": [_tell_stretch(lot) for lot in each.lots]} for each in certificate.withdrawals
        ],
        "proofs": [base64.b64encode(proof).decode() for proof in certificate.proofs],
    }
    if certificate.disclosure is not None:
        told["disclosure"] = tell_excerpt(certificate.disclosure)
    if certificate.purpose is not None:
        told["purpose"] = certificate.purpose._asdict()
    if certificate.origins:
        told["origins"] = [each._asdict() for each in certificate.origins]
    text = json.dumps(told, sort_keys=True, ensure_ascii=False, indent=1)
    return text.replace("<", "\\u003c").encode() + b"\n"


def _tell_stretch(lot: Stretch) -> dict[str, str]:
    return {"batch": lot.batch, "first": str(lot.first), "units": str(lot.units), "serials": lot.serials}


def parse_certificate(data: bytes) -> Certificate:
    """Read a document; nothing in it is believed yet. Raises `CertificateError`."""
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise CertificateError(f"{len(data)} bytes; a certificate has at most {CERTIFICATE_BYTES_MAX}")
    try:
        told = json.loads(data)
        if told["format"] != FORMAT:
            raise CertificateError(f"the format is {str(told['format'])[:80]!r}, not {FORMAT!r}")
        fields: dict[str, Any] = _check_texts({name: told[name] for name in (*_TEXTS, "grain")})
        lots = tuple(_parse_stretch(lot) for lot in told["lots"])
        taken_back = tuple(_parse_withdrawal(each) for each in told["withdrawals"])
        proofs = tuple(base64.b64decode(proof, validate=True) for proof in told["proofs"])
        if fields["driver"] not in DRIVERS:
            raise CertificateError(f"the driver is {str(fields['driver'])[:40]!r}, none of {', '.join(DRIVERS[:-1])}")
        excerpt = hear_excerpt(told["disclosure"]) if "disclosure" in told else None
        fields["purpose"] = Purpose(**_check_texts(told["purpose"])) if "purpose" in told else None
        fields["origins"] = tuple(Origin(**_check_texts(each)) for each in told.get("origins", ()))
        found = Certificate(lots=lots, withdrawals=taken_back, proofs=proofs, disclosure=excerpt, **fields)
        same = format_certificate(found) == data
    except DisclosureError as error:
        raise CertificateError(f"what it discloses does not hold: {error}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, binascii.Error) as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(f"this is no certificate: {type(error).__name__} {str(error)[:120]}") from error
    if not same:
        raise CertificateError("it is not in its canonical form: something was added, left out or written otherwise")
    return found


def _check_texts(told: dict[str, Any]) -> dict[str, str]:
    odd = [name for name, value in told.items() if not isinstance(value, str)]
    if odd:
        raise CertificateError(f"{odd[0][:40]!r} is no text")
    return told


def _parse_stretch(told: Any) -> Stretch:
    texts = _check_texts(told)
    return Stretch(texts["batch"], int(texts["first"]), int(texts["units"]), texts["serials"])


def _parse_withdrawal(told: dict[str, Any]) -> Withdrawal:
    texts = _check_texts({name: value for name, value in told.items() if name != "lots"})
    return Withdrawal(**texts, lots=tuple(map(_parse_stretch, told["lots"])))


def check_certificate(certificate: Certificate, genesis: bytes) -> Standing:
    """Check a certificate against the verifier's own genesis file.

    Raises `CertificateError` for whatever does not hold, `GenesisError` for a file that is none.
    """
    for place in (certificate.event, *(each.event for each in certificate.withdrawals)):
        if _PLACE.fullmatch(place) is None:
            raise CertificateError(f"{place[:40]!r} is no place of an event: HEIGHT.ORDINAL")
    shown: list[tuple[int, int, Event]] = []
    proved_at, origin = 0, ""
    for number, proof in enumerate(certificate.proofs, start=1):
        verdict = verify_bundle(proof, genesis)
        if verdict.facts is None:
            raise CertificateError(f"proof {number}: {verdict.failure}")
        if verdict.facts.kind is not Kind.CUT or verdict.facts.network.hex() != certificate.network:
            raise CertificateError(f"proof {number} is not a cut of the network the certificate names")
        proved_at, origin = max(proved_at, verdict.facts.height), verdict.facts.origin
        shown += _read_shown(proof)
    _check_ending(certificate, shown)
    for each in certificate.withdrawals:
        _check_withdrawal(certificate, each, shown)
    _check_all_told(certificate, shown)
    _check_disjoint(certificate)
    if certificate.disclosure is not None:
        check_disclosed(certificate, certificate.disclosure)
    height = max(map(_height_of, (certificate.event, *(each.event for each in certificate.withdrawals))))
    return Standing(certificate.status, certificate.units, certificate.withdrawn_units, height, proved_at, origin)


def _read_shown(proof: bytes) -> Iterator[tuple[int, int, Event]]:
    """Every event of an accepted transaction that a verified cut shows, with its height."""
    bundle = parse_bundle(proof)
    try:
        for ordinal in range(bundle.fixed, len(bundle.manifest.parts)):
            data, at = read_part(bundle, ordinal), 0
            while at < len(data):
                block, at = read_block(CUT_BLOCK, data, at, "proof")
                header = parse_header(block.header)
                for submission in block.submissions:
                    for item in submission.transactions:
                        events = () if item.reason else read_events(item.events)
                        yield from ((header.height, header.time_ms, event) for event in events)
    except (BundleError, EncodingError) as error:
        raise CertificateError(f"a proof cannot be read: {error}") from error


def _check_ending(certificate: Certificate, shown: list[tuple[int, int, Event]]) -> None:
    kind = ENDINGS.get(certificate.ended)
    if kind is None:
        raise CertificateError(f"{certificate.ended!r} is no way for units to end")
    if not certificate.hold:
        raise CertificateError("it names no instruction: what ended without one has no certificate")
    facts = {name: getattr(certificate, name) for name in ("hold", "reference", "grade", "beneficiary")}
    if certificate.purpose is not None:
        if kind is not EventKind.USED:
            raise CertificateError(f"it says what units were used for that were {certificate.ended}")
        facts |= certificate.purpose._asdict()
    wanted = sorted((lot.batch, lot.first, lot.units) for lot in certificate.lots)
    for height, time_ms, event in shown:
        same = event.kind == kind and all(event.fact(name) == value for name, value in facts.items())
        ours = all(move.from_account == certificate.account for move in event.moves)
        there = _is_at(height, time_ms, certificate.event, certificate.recorded)
        if (
            same
            and ours
            and there
            and format_when(event.effective) == certificate.effective
            and _ranges(event) == wanted
        ):
            return
    raise CertificateError("no proof shows an event with this hold, reference, grade, beneficiary, use and these units")


def _check_withdrawal(certificate: Certificate, each: Withdrawal, shown: list[tuple[int, int, Event]]) -> None:
    wanted = sorted((lot.batch, lot.first, lot.units) for lot in each.lots)
    for height, time_ms, event in shown:
        facts = {"reverses": certificate.event, "reason": each.reason, "reference": each.reference}
        same = event.kind == EventKind.REVERSED and all(event.fact(name) == value for name, value in facts.items())
        if same and _is_at(height, time_ms, each.event, each.recorded) and _ranges(event) == wanted:
            return
    raise CertificateError(f"no proof shows the withdrawal {each.event}")


def _check_all_told(certificate: Certificate, shown: list[tuple[int, int, Event]]) -> None:
    """Every reversal of these units in the block they ended in that a proof shows is one that the certificate tells.

    A cut does not show which number an event has in its block: what a reversal calls it is believed, not the document.
    """
    told = {
        (_height_of(each.event), *sorted((lot.batch, lot.first, lot.units) for lot in each.lots))
        for each in certificate.withdrawals
    }
    ours = _height_of(certificate.event)
    for at, _, event in shown:
        if event.kind != EventKind.REVERSED or event.fact("reverses").partition(".")[0] != str(ours):
            continue
        touched = any(
            move.batch == lot.batch and move.first < lot.first + lot.units and lot.first < move.first + move.units
            for move in event.moves
            for lot in certificate.lots
        )
        if touched and (at, *_ranges(event)) not in told:
            raise CertificateError(f"a proof shows a withdrawal at height {at} that the certificate does not tell")


def _height_of(place: str) -> int:
    return int(place.partition(".")[0])


def check_disclosed(certificate: Certificate, excerpt: Excerpt) -> None:
    """Refuse an excerpt of another disclosure than the one that was certified. Raises `CertificateError`."""
    digest = compute_excerpt_digest(excerpt).hex()
    if digest != certificate.beneficiary:
        raise CertificateError(f"the beneficiary is {certificate.beneficiary or 'not said'}, the disclosure's {digest}")


def _is_at(height: int, time_ms: int, place: str, recorded: str) -> bool:
    """Whether a block is the one a certificate names, with its ledger time."""
    return str(height) == place.partition(".")[0] and format_time(time_ms) == recorded


def format_when(when: When) -> str:
    """What a source claims of a moment: a day, or an instant; empty where it claims none."""
    if not when.ms or not when.precision:
        return ""
    return format_time(when.ms)[:10] if when.precision == WhenPrecision.DATE else format_time(when.ms)


def _ranges(event: Event) -> list[tuple[str, int, int]]:
    """What an event moved, neighbours joined."""
    found: list[tuple[str, int, int]] = []
    for move in sorted(event.moves):
        if found and found[-1][0] == move.batch and found[-1][1] + found[-1][2] == move.first:
            batch, first, units = found.pop()
            found.append((batch, first, units + move.units))
        else:
            found.append((move.batch, move.first, move.units))
    return found


def _check_disjoint(certificate: Certificate) -> None:
    """Withdrawals take back units of this certificate, each once."""
    ours = [(lot.batch, lot.first, lot.first + lot.units) for lot in certificate.lots]
    taken = sorted((lot.batch, lot.first, lot.first + lot.units) for w in certificate.withdrawals for lot in w.lots)
    for batch, first, end in taken:
        if not any(batch == other and low <= first and end <= high for other, low, high in ours):
            raise CertificateError(f"a withdrawal names {batch} from {first}, which is not certified")
    for (batch, _, end), (other, first, _) in pairwise(taken):
        if batch == other and first < end:
            raise CertificateError(f"{batch} from {first} is withdrawn twice")
