"""What a node's card says, as operations of governance: its keys, where it is reached, its operator's first key.

Reading and checking a card is `network.cards`; who decides on it, the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cli.exits import ExitCode, Failed, misused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.session import Session
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op
    from network.folders import NodeIdentity


def read_card(path: Path, participant: str = "", origin: str = "") -> NodeIdentity:
    """The card in a file; refuses that of another participant or network than those named."""
    from network.cards import parse_card

    identity = parse_card(path.expanduser().read_bytes())
    for what, wanted, found in (
        ("participant", participant, identity.participant),
        ("network", origin, identity.origin),
    ):
        if wanted and wanted != found:
            raise misused(f"{path} is a card of {what} {found}, not of {wanted}", "ask its operator for the right one")
    return identity


def node_keys(identity: NodeIdentity) -> op.NodeKeys:
    """The four keys of a validator's machine."""
    from keeling.v1 import operations_pb2 as op
    from network.keys import Role

    keys = identity.keys
    return op.NodeKeys(
        entry=keys[Role.ENTRY], vote=keys[Role.VOTE], log=keys[Role.LOG], cosigner=keys[Role.COSIGNER]
    )  # fmt: skip


def contact(identity: NodeIdentity, besides: Sequence[bytes] = ()) -> op.Contact:
    """Where the node is reached, and its TLS key; `besides` are older ones that stay good for now."""
    from keeling.v1 import operations_pb2 as op
    from network.contacts import contact_of

    said = contact_of(identity)
    older = [key for key in besides if key not in said.tls_keys]
    return op.Contact(address=said.address, tls_keys=[*older, *said.tls_keys])


def operator_grant(identity: NodeIdentity) -> op.KeyGrant:
    """The first key of a participant: the one its operator made with the node, which may do all a person may."""
    from keeling.v1 import operations_pb2 as op
    from network.founding import FOUNDER_PURPOSES
    from network.keys import Role

    return op.KeyGrant(key=identity.keys[Role.SUBMISSION], person="operator-1", purposes=int(FOUNDER_PURPOSES))


def find_member(session: Session, participant: str) -> pb.Member:
    """What the ledger has of a participant's node."""
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetGovernance, pb.GetGovernanceRequest())
    for member in found.members:
        if member.participant == participant:
            return member
    advice = "see: keeling network members"
    raise Failed(ExitCode.NOT_FOUND, f"the ledger knows no node of {participant}", reason="NOT_FOUND", advice=advice)


def has_operator_key(session: Session, identity: NodeIdentity) -> bool:
    """Whether the ledger knows the card's submission key, in force or retired: no key comes twice."""
    from keeling.v1 import ledger_pb2 as pb
    from network.keys import Role

    pages = session.ask_pages(session.ledger.ListParticipants, pb.ListRequest())
    keys = [known.key for page in pages for participant in page.participants for known in participant.keys]
    return identity.keys[Role.SUBMISSION] in keys


def changed_keys(identity: NodeIdentity, member: pb.Member) -> op.NodeKeys | None:
    """Those of the four keys that the ledger does not have, the others empty; None where it has all."""
    from keeling.v1 import operations_pb2 as op

    wanted = node_keys(identity)
    if not member.HasField("node"):
        return wanted
    roles = [field.name for field in op.NodeKeys.DESCRIPTOR.fields]
    new = {role: getattr(wanted, role) for role in roles if getattr(wanted, role) != getattr(member.node, role)}
    return op.NodeKeys(**new) if new else None


def changed_contact(identity: NodeIdentity, member: pb.Member, only: bool = False) -> op.Contact | None:
    """Address and TLS key of the card, beside the keys good until now (without them: `only`); None: nothing is new."""
    wanted = contact(identity, () if only else member.tls_keys)
    same = (wanted.address, list(wanted.tls_keys)) == (member.address, list(member.tls_keys))
    return None if same else wanted
