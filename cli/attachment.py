"""`keeling attachment`: what is private about units, encrypted to its parties, and checked against the ledger.

The ledger carries the digest only (`--beneficiary` of a hold or a retirement). What a disclosure and an attachment are
is `keeling.disclosure` and `keeling.attachment`; certificates are `keeling.certificate`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.command import reads, works
from cli.exits import ExitCode, Failed, misused
from cli.identifiers import format_id, parse_cursor, parse_digest, parse_id
from cli.output import Answer, Grid
from cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeling.certificate import Certificate
    from keeling.disclosure import Excerpt, Field
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="What is private, encrypted to its parties; the ledger has its hash.", no_args_is_help=True)

_FILE = Annotated[Path, typer.Argument(metavar="FILE", help="An attachment, or one that was opened into a file.")]
KEY = Annotated[
    Path | None, typer.Option("--key", metavar="KEYFILE", help="A key file of a party; default: your profile's.")
]
SHOW = Annotated[
    list[str] | None, typer.Option("--show", metavar="NAME", help="Show this field and hide others; may be repeated.")
]


@reads(app, "make")
def make(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to make; never overwritten.")],
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="PARTICIPANT", help="For its people's keys on the ledger; may be repeated."),
    ] = None,
    to_key: Annotated[
        list[str] | None,
        typer.Option("--to-key", metavar="HEX|KEYFILE", help="For this key (only its public part is read)."),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", metavar="NAME=TEXT", help="What is said; may be repeated.")
    ] = None,
    of_file: Annotated[
        list[str] | None, typer.Option("--file", metavar="NAME=FILE", help="The SHA-256 of a file; may be repeated.")
    ] = None,
    salt: Annotated[
        str | None, typer.Option("--salt", metavar="HEX", help="For what was hashed before; default: a fresh one.")
    ] = None,
) -> Answer:
    """Encrypt what is private (a beneficiary, a price, a report) to its parties, and print the digest for the ledger.

    Give the digest as --beneficiary to keeling hold place or keeling retire, and the file to the parties. Name your own
    participant too: without a key among them nobody here can open it again. Names are lower-case letters, digits and _.

    \b
    Example:
      keeling attachment make sale.sealed --to acme --to natreg --field "beneficiary=Acme Ltd" --field country=IN \\
          --field "price=12.50 EUR" --file mrv_report=report.pdf
      keeling retire 10 --from B --beneficiary 3b7d…
    """
    import os

    from keeling.attachment import RANDOM_BYTES, seal_attachment
    from keeling.disclosure import SALT_BYTES, Disclosure, compute_digest

    keys = _find_keys(session, to or ()) + [_read_key(text) for text in to_key or ()]
    if not keys:
        raise misused("nobody is named who may open it", "give --to PARTICIPANT or --to-key HEX")
    fields = [_split(text) for text in field or ()] + [_hash_file(text) for text in of_file or ()]
    salted = parse_digest(salt) if salt else os.urandom(SALT_BYTES)
    disclosure = Disclosure(salted, tuple(fields))
    parties = sorted({key["key"]: key for key in keys})
    sealed = seal_attachment(disclosure, [bytes.fromhex(key) for key in parties], os.urandom(RANDOM_BYTES))
    digest = compute_digest(disclosure).hex()
    _write(file, sealed)
    facts = {"file": str(file), "digest": digest, "to": keys}
    own = session.profile.participant if to else ""
    note = f"not for {own} itself: nobody there can open it again" if own and own not in (to or ()) else ""
    grid = Grid(("for", "person", "key"), [(key["participant"], key["person"], key["key"]) for key in keys])
    said = f"{file}: give it to its parties; on the ledger: --beneficiary {digest}"
    return Answer(facts, [said, grid], complaint=f"warning: {note}" if note else "")


@works(app, "open")
def open_file(
    file: _FILE,
    key: KEY = None,
    show: SHOW = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write it readable, to prove it to anybody you give it."),
    ] = None,
) -> Answer:
    """Open an attachment to you. The digest is proved to be that of what is shown; compare it with the ledger's.

    Written with --out and --show, the file proves the fields shown and tells nothing of the others.

    \b
    Example:
      keeling attachment open sale.sealed --key asha.key
      keeling attachment open sale.sealed --show beneficiary --show country --out for-the-auditor.json
    """
    from keeling.disclosure import format_excerpt

    found = _read_excerpt(Session(), file, key, show or None)
    if out is not None:
        _write(out, format_excerpt(found))
    facts = _tell(found) | {"file": None if out is None else str(out)}
    return Answer(facts, [*_rows(found), f"written to {out}" if out else ""])


@reads(app, "check")
def check(
    session: Session,
    file: _FILE,
    hold: Annotated[str | None, typer.Option("--hold", metavar="HOLD", help="Of this hold.")] = None,
    event: Annotated[str | None, typer.Option("--event", metavar="H.I", help="Of this retirement or capture.")] = None,
    key: KEY = None,
) -> Answer:
    """Is this what a hold or an event on the ledger names as its beneficiary? Exit code 4: it is not.

    \b
    Example:
      keeling attachment check sale.sealed --hold 019a0000-0000-7000-8000-0000000000a1 --key asha.key
      keeling attachment check sale.sealed --event 1200.3
    """
    if (hold is None) == (event is None):
        raise misused("it is compared with one thing", "give --hold HOLD or --event HEIGHT.ORDINAL")
    found = _read_excerpt(session, file, key, None)
    what, named = _ask_hold(session, hold) if hold is not None else _ask_event(session, event or "")
    told = _tell(found)
    facts = told | {"what": what, "beneficiary": named, "holds": told["digest"] == named}
    if facts["holds"]:
        return Answer(facts, [f"holds: {what} names exactly this", *_rows(found)])
    complaint = f"verification failed: {what} names {named or 'no beneficiary'}, and this is {told['digest']}"
    return Answer(facts, ["does NOT hold"], ExitCode.VERIFICATION_FAILED, complaint)


@works(app, "page")
def page(
    certificate: Annotated[Path, typer.Argument(metavar="CERTIFICATE", help="A certificate, as a page or as JSON.")],
    file: _FILE,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The page to write; JSON if it ends in .json.")],
    key: KEY = None,
    show: SHOW = None,
) -> Answer:
    """Write a certificate that names the beneficiary in clear, proved by the hash in it. Works offline.

    Only the field beneficiary is shown, unless --show names others. `keeling audit certificate` checks both at once.

    \b
    Example:
      keeling attachment page certificates/019a….html sale.sealed --key asha.key --out acme.html
    """
    found = _disclose(certificate, read_for_page(file, key, show))
    _write(out, _format(out, found))
    return Answer({"file": str(out)}, [str(out)])


def read_for_page(file: Path, key: Path | None, show: Sequence[str] | None) -> Excerpt:
    """What a certificate shows: the beneficiary, unless other fields are named."""
    from keeling.disclosure import BENEFICIARY

    return _read_excerpt(Session(), file, key, show or [BENEFICIARY])


def write_disclosed(document: Path, excerpt: Excerpt) -> list[str]:
    """Beside a certificate's document, the page and the document that also show the excerpt; returns their names."""
    from network.files import replace_file

    found = _disclose(document, excerpt)
    paths = [document.with_name(f"{document.stem}-disclosed{ending}") for ending in (".html", ".json")]
    for path in paths:
        replace_file(path, _format(path, found))
    return [str(path) for path in paths]


def _disclose(certificate: Path, excerpt: Excerpt) -> Certificate:
    """The certificate in a file, with what is disclosed of its beneficiary."""
    from keeling.certificate import CertificateError, check_disclosed
    from keeling.certificate_page import read_page

    try:
        found = read_page(certificate.read_bytes())
        check_disclosed(found, excerpt)
    except CertificateError as error:
        raise Failed(ExitCode.VERIFICATION_FAILED, f"verification failed: {certificate}: {error}") from error
    return found._replace(disclosure=excerpt)


def _format(path: Path, certificate: Certificate) -> bytes:
    """A page, or the document where the file's name ends in .json."""
    from keeling.certificate import format_certificate
    from keeling.certificate_page import format_page

    return format_certificate(certificate) if path.suffix == ".json" else format_page(certificate).encode()


def _read_excerpt(session: Session, file: Path, key: Path | None, names: Sequence[str] | None) -> Excerpt:
    """What a file discloses (None: all of it): encrypted, it is opened with the key; readable, it is read.

    Raises `Failed`, also for a key that it is not for.
    """
    from cli.writing import load_hand
    from keeling.attachment import AttachmentError, NotAParty, is_attachment
    from keeling.disclosure import DisclosureError, narrow_excerpt, parse_excerpt, show_fields

    data = file.read_bytes()
    try:
        if is_attachment(data):
            return show_fields(load_hand(session, key).signer.open_attachment(data), names)
        found = parse_excerpt(data)
        return found if names is None else narrow_excerpt(found, names)
    except NotAParty as error:
        raise Failed(ExitCode.NOT_PERMITTED, f"{file}: {error}") from error
    except (AttachmentError, DisclosureError) as error:
        raise misused(f"{file}: {error}") from error


def _write(path: Path, data: bytes) -> None:
    from network.files import write_new_file

    try:
        write_new_file(path, data)
    except FileExistsError as error:
        text = f"{path} exists already; nothing was overwritten"
        raise Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="choose another name") from error


# -- what is said, and to whom


def _split(text: str) -> Field:
    from keeling.disclosure import Field

    name, equals, value = text.partition("=")
    if not equals:
        raise misused(f"{text!r} is no field", 'write NAME=TEXT, such as "beneficiary=Acme Ltd"')
    return Field(name, value)


def _hash_file(text: str) -> Field:
    import hashlib

    name, path = _split(text)
    with Path(path).open("rb") as file:
        return _split(f"{name}=sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}")


def _find_keys(session: Session, participants: Sequence[str]) -> list[dict[str, str]]:
    """The keys that people of these participants have now, as the ledger says; those of machines have no purposes."""
    from keeling.v1 import ledger_pb2 as pb

    if not participants:
        return []
    pages = session.ask_pages(session.ledger.ListParticipants, pb.ListRequest())
    known = {member.participant: member for page in pages for member in page.participants}
    found = []
    for name in dict.fromkeys(participants):
        member = known.get(name)
        if member is None:
            raise Failed(ExitCode.NOT_FOUND, f"there is no participant {name}", advice="see: keeling participant list")
        if member.suspended:
            raise Failed(ExitCode.REFUSED, f"{name} is suspended", advice="ask it for a key, and give --to-key")
        keys = [key for key in member.keys if key.purposes and not key.retired_height]
        if not keys:
            raise Failed(ExitCode.REFUSED, f"{name} has no key on the ledger", advice="ask it for one: --to-key")
        found += [{"participant": name, "person": key.person, "key": key.key.hex()} for key in keys]
    return found


def _read_key(text: str) -> dict[str, str]:
    from cli.account import parse_key

    return {"participant": "", "person": "", "key": parse_key(text).hex()}


# -- telling and comparing


def _tell(excerpt: Excerpt) -> dict[str, Any]:
    from keeling.disclosure import compute_excerpt_digest

    shown = [field._asdict() for field in excerpt.shown]
    hidden = len(excerpt.fields) - len(shown)
    return {"digest": compute_excerpt_digest(excerpt).hex(), "fields": shown, "hidden": hidden}


def _rows(excerpt: Excerpt) -> list[str | Grid]:
    told = _tell(excerpt)
    rows = [(field.name, field.value) for field in excerpt.shown]
    more = f"{told['hidden']} more, hidden" if told["hidden"] else ""
    return [Grid(("", ""), rows, "no field is shown"), more, f"digest {told['digest']}"]


def _ask_hold(session: Session, text: str) -> tuple[str, str]:
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetHold, pb.GetHoldRequest(hold=parse_id(text)))
    return f"hold {format_id(found.hold)}", found.beneficiary.hex()


def _ask_event(session: Session, text: str) -> tuple[str, str]:
    height, ordinal = parse_cursor(text)
    event = _find_event(session, height, ordinal)
    if event is None:
        raise Failed(ExitCode.NOT_FOUND, f"there is no event {text}", advice="see: keeling events")
    named = next((fact.value for fact in event.facts if fact.name == "beneficiary"), "")
    return f"event {text} ({event.kind})", named


def _find_event(session: Session, height: int, ordinal: int) -> pb.Event | None:
    """The event at a place, found from the beginning of the block before it."""
    from keeling.v1 import ledger_pb2 as pb

    request = pb.WatchRequest(after=pb.Cursor(height=max(height - 1, 0)), until_now=True)
    try:
        for piece in session.ask_stream(session.ledger.Watch, request, session.deadline_ms):
            for event in piece.events:
                place = event.place.height, event.place.ordinal
                if place >= (height, ordinal):
                    return event if place == (height, ordinal) else None
    except Failed as failed:
        if failed.reason != "BEYOND_FINAL":
            raise
    return None
