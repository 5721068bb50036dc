"""`keeling key`: people's approval keys, as files here and as grants on the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.command import reads, works, writes
from cli.exits import ExitCode, Failed, misused
from cli.keys import describe_purposes, grant_of
from cli.output import Answer, Grid
from cli.session import Session
from cli.writing import Change

app = typer.Typer(help="Keys of people: files that sign, and what the ledger lets them do.", no_args_is_help=True)


@works(app, "new")
def new_key(
    file: Annotated[Path, typer.Argument(metavar="KEYFILE", help="The file to make; never overwritten.")],
    participant: Annotated[str, typer.Option("--participant", help="Whose key it is.")],
    person: Annotated[
        str, typer.Option("--person", help="An opaque label: two keys of one person count once. Never a name.")
    ],
) -> Answer:
    """Make a person's key file, with mode 0600; encrypted when KEELING_PASSPHRASE (or …_FILE) is set.

    Only the public key ever leaves the file. Put it on the ledger with keeling key add, or participant admit.

    \b
    Example:
      keeling key new asha.key --participant natreg --person p1
    """
    from network.keys import Role, create_key_file, read_passphrase
    from network.names import check_participant

    check_participant(participant)
    passphrase = read_passphrase()
    try:
        signer = create_key_file(file, role=Role.APPROVAL, owner=f"{participant}/{person}", passphrase=passphrase)
    except FileExistsError as error:
        text = f"{file} exists already; nothing was overwritten"
        raise Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="choose another name") from error
    public, protected = signer.public_key.hex(), passphrase is not None
    facts = {
        "file": str(file),
        "public_key": public,
        "participant": participant,
        "person": person,
        "encrypted": protected,
    }
    note = "encrypted" if protected else "NOT encrypted: set KEELING_PASSPHRASE to have it encrypted"
    return Answer(facts, [f"{file}: approval key of {person} of {participant} ({note})", f"public key {public}"])


@writes(app, "add")
def add_key(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="KEYFILE", help="The key file (only its public part is read).")],
    person: Annotated[str | None, typer.Option("--person", help="Default: the one the file was made for.")] = None,
    purposes: Annotated[
        str, typer.Option("--purposes", help="Of submit, approve, admin, govern, attest.")
    ] = "submit,approve",
    retire: Annotated[
        str | None, typer.Option("--retire", metavar="KEY", help="End this key in the same step.")
    ] = None,
) -> Change:
    """Put a key of your participant on the ledger, and retire another if you like.

    Needs an administrator's key, or the retired key itself when person and purposes stay the same.

    \b
    Example:
      keeling key add asha.key --purposes submit,approve
    """
    from cli.account import parse_key
    from keeling.v1 import operations_pb2 as op

    grant = grant_of(file, person, purposes)
    operation = op.RotateKey(retire=parse_key(retire) if retire else b"", add=grant)
    return Change([operation], lambda _: [f"key {grant.key.hex()} may {', '.join(describe_purposes(grant.purposes))}"])


@writes(app, "node")
def node_keys(
    session: Session,
    card: Annotated[Path, typer.Argument(metavar="CARD", help="The card that shows your node's new keys.")],
    only_tls: Annotated[
        bool, typer.Option("--drop-old-tls", help="Only the card's TLS key stays good; without, the old one stays too.")
    ] = False,
) -> Change:
    """Put keys and address of your own node on the ledger, as its card shows them. Needs an administrator's key.

    Keys that the ledger has already stay as they are. A TLS key is replaced in three steps: add the new one, have the
    node use it, drop the old one.

    \b
    Example:
      keeling node rekey acme --part tls
      keeling key node acme/card-next.json
      keeling node rekey acme --use
      keeling key node acme/card.json --drop-old-tls
    """
    from cli import cards
    from keeling.v1 import operations_pb2 as op

    identity = cards.read_card(card, session.profile.participant, session.profile.origin)
    member = cards.find_member(session, identity.participant)
    node = cards.changed_keys(identity, member) if member.HasField("node") else None
    contact = cards.changed_contact(identity, member, only_tls)
    if node is None and contact is None:
        raise misused(f"the ledger has the keys of {card} already", "make new ones: keeling node rekey FOLDER")
    return Change([op.RotateKey(node=node, contact=contact)], lambda _: [f"the ledger has the keys of {card}"])


@reads(app, "list")
def list_keys(
    session: Session,
    participant: Annotated[str | None, typer.Option("--participant", help="Only this one's.")] = None,
) -> Answer:
    """List the keys on the ledger: whose, which person's, what for, and since when.

    \b
    Example:
      keeling key list --participant natreg
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListParticipants, pb.ListRequest())
    found = [
        {
            "key": key.key.hex(),
            "participant": owner.participant,
            "person": key.person,
            "purposes": describe_purposes(key.purposes),
            "since_height": key.since_height,
            "retired_height": key.retired_height,
        }
        for page in pages
        for owner in page.participants
        if participant in (None, owner.participant)
        for key in owner.keys
    ]
    rows = [
        (
            str(each["key"]),
            str(each["participant"]),
            str(each["person"]),
            ", ".join(map(str, each["purposes"] if isinstance(each["purposes"], list) else ())),
            f"retired at {each['retired_height']}" if each["retired_height"] else f"since {each['since_height']}",
        )
        for each in found
    ]
    return Answer({"keys": found}, [Grid(("key", "participant", "person", "purposes", ""), rows)])
