"""`keeling participant`: who is a member of the network; admitting, suspending and replacing by the electorate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads, works, writes
from cli.exits import misused
from cli.keys import describe_purposes, grant_of
from cli.motion import AS_MOTION, BECAUSE, DURING, LONG_ENOUGH, Put, decide
from cli.output import Answer, Grid, facts_of
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb

app = typer.Typer(help="Organisations that are members of the network.", no_args_is_help=True)

PARTICIPANT = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Its id.")]


@writes(app, "admit")
def admit(
    session: Session,
    participant: Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Its id: lower-case letters and digits.")],
    name: Annotated[str, typer.Option("--name", help="Its name, as people know it.")],
    role: Annotated[
        list[str],
        typer.Option("--role", help="registry, authority, exchange, group, bank, verifier, auditor; may be repeated."),
    ],
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="KEYFILE", help="Its first keys (only public parts are read)."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option("--card", metavar="CARD", help="The card of its node, which keeling node prepare made."),
    ] = None,
    validator: Annotated[
        bool, typer.Option("--validator", help="Its node becomes a validator, by itself, once it has caught up.")
    ] = False,
    motion: AS_MOTION = "",
    because: BECAUSE = "",
    during: DURING = LONG_ENOUGH,
) -> Change:
    """Admit a participant with its first keys; it manages all others itself. The electorate decides.

    With --card its node may connect, and its operator's key is its first. Compare the card's digest with its operator
    over another channel: keeling participant card CARD.

    \b
    Example:
      keeling key new kenya-ops.key --participant kenya --person ops
      keeling participant admit kenya --name "Kenya" --role authority --key kenya-ops.key
      keeling participant admit acme --name "Acme" --role group --card acme.json --validator \\
          --motion admit-acme --because "decided at the meeting of 3 May"
    """
    from cli import cards
    from keeling.v1 import operations_pb2 as op

    grants = [grant_of(path, None, None) for path in key or ()]
    operation = op.Admit(participant=participant, name=name, roles=role, keys=grants, validator=validator)
    if card is not None:
        identity = cards.read_card(card, participant, session.profile.origin)
        operation.keys.insert(0, cards.operator_grant(identity))
        operation.contact.CopyFrom(cards.contact(identity))
        if validator:
            operation.node.CopyFrom(cards.node_keys(identity))
    elif validator:
        raise misused("a validator has a node", "give its card with --card")
    elif not grants:
        raise misused("a participant comes with a key", "give --key, or --card")
    told = f"{participant} is admitted" + (", and becomes a validator once its node is ready" if validator else "")
    return decide(session, Put(motion, because, during), [operation], told)


@writes(app, "suspend")
def suspend(
    session: Session,
    participant: PARTICIPANT,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why. Everybody reads it, for ever.")],
    lift: Annotated[bool, typer.Option("--lift", help="End a suspension instead.")] = False,
    motion: AS_MOTION = "",
    during: DURING = LONG_ENOUGH,
) -> Change:
    """Suspend a participant: it hands in nothing, approves nothing, and its validator leaves. The electorate decides.

    Once it is lifted, a node that validated says by itself that it is ready again.

    \b
    Example:
      keeling participant suspend acme --reason "signed two histories" --motion suspend-acme
    """
    from keeling.v1 import operations_pb2 as op

    operation = op.Suspend(participant=participant, reason=reason, lift=lift)
    told = f"{participant} is {'no longer ' if lift else ''}suspended"
    return decide(session, Put(motion, reason, during), [operation], told)


@writes(app, "replace")
def replace(
    session: Session,
    participant: PARTICIPANT,
    card: Annotated[Path, typer.Option("--card", metavar="CARD", help="The card that shows the new keys of its node.")],
    people: Annotated[
        bool,
        typer.Option("--people", help="Also all keys of its people end; the card's operator begins anew with its own."),
    ] = False,
    motion: AS_MOTION = "",
    because: BECAUSE = "",
    during: DURING = LONG_ENOUGH,
) -> Change:
    """Give a participant that cannot act itself other keys, as a card of its node shows them. The electorate decides.

    Keys of the card that the ledger has already stay as they are. With --people the card shows a new submission key. It
    is then the only one that acts for the participant, and may do all a person may.

    \b
    Example:
      keeling node rekey acme --part vote                                  (at acme)
      keeling participant replace acme --card card-next.json --motion acme-vote --because "journal lost"
      keeling participant replace acme --card card-next.json --people --motion acme-keys --because "stolen"
    """
    from cli import cards
    from keeling.v1 import operations_pb2 as op

    identity = cards.read_card(card, participant, session.profile.origin)
    member = cards.find_member(session, participant)
    node, contact = cards.changed_keys(identity, member), cards.changed_contact(identity, member)
    keys = [cards.operator_grant(identity)] if people else []
    if people and cards.has_operator_key(session, identity):
        text = f"the submission key of {card} is on the ledger already, and no key comes twice"
        raise misused(text, "make a new one at the node: keeling node rekey FOLDER --part submission")
    if node is None and contact is None and not keys:
        raise misused(f"the ledger has the keys of {card} already", "make new ones: keeling node rekey FOLDER")
    operation = op.Replace(participant=participant, keys=keys, node=node, contact=contact)
    return decide(session, Put(motion, because, during), [operation], f"{participant} has the keys of {card}")


@works(app, "card")
def card(
    file: Annotated[Path, typer.Argument(metavar="CARD", help="The card of a node.")],
) -> Answer:
    """Show what a card says, and its digest: compare it with the node's operator over another channel.

    \b
    Example:
      keeling participant card acme.json
    """
    from cli import cards
    from network.cards import compute_card_digest

    identity = cards.read_card(file)
    digest = compute_card_digest(file.expanduser().read_bytes())
    keys = {role.value: public.hex() for role, public in identity.keys.items()}
    facts = {"origin": identity.origin, "participant": identity.participant, "address": identity.address}
    rows = [*facts.items(), *keys.items(), ("digest", digest)]
    return Answer(facts | {"keys": keys, "digest": digest}, [Grid(("", ""), rows)])


@reads(app, "list")
def list_participants(session: Session) -> Answer:
    """List all participants with their roles.

    \b
    Example:
      keeling participant list
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListParticipants, pb.ListRequest())
    found = [participant for page in pages for participant in page.participants]
    rows = [
        (
            p.participant,
            p.name,
            ", ".join(p.roles),
            str(sum(1 for key in p.keys if not key.retired_height)),
            " ".join(word for word, on in (("validator", p.validator), ("suspended", p.suspended)) if on),
        )
        for p in found
    ]
    return Answer(
        {"participants": [facts_of(p) | {"keys": [_key_facts(key) for key in p.keys]} for p in found]},
        [Grid(("participant", "name", "roles", ">active keys", ""), rows)],
    )


def _key_facts(key: pb.KeyInfo) -> dict[str, object]:
    return facts_of(key) | {"purposes": describe_purposes(key.purposes)}
