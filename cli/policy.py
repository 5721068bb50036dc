"""`keeling policy` and `keeling network members`: who validates, and why that follows from the genesis file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads
from cli.exits import ExitCode
from cli.output import Answer, Grid, facts_of
from cli.session import Session

if TYPE_CHECKING:
    from keeling.handover import Reign

app = typer.Typer()
members_app = typer.Typer()


@reads(app, "policy")
def policy(
    session: Session,
    height: Annotated[int, typer.Option("--height", help="The policy that certifies this block; 0: the next one.")] = 0,
) -> Answer:
    """Show who validates, checked from your genesis file over every change since; nothing of the node is believed.

    Exit code 4 if what the node says does not follow from the genesis file.

    \b
    Example:
      keeling policy
      keeling policy --height 120
    """
    from keeling.encoding import EncodingError
    from keeling.genesis import parse_genesis
    from keeling.handover import HANDOVER, HandoverRefused, walk_handovers
    from keeling.v1 import log_pb2 as pb

    answer = session.ask(session.log.GetPolicy, pb.GetPolicyRequest(height=height))
    genesis = parse_genesis(session.profile.genesis.expanduser().read_bytes())
    try:
        reigns = walk_handovers(genesis, [HANDOVER.decode(raw) for raw in answer.handovers])
        problem = "" if hashlib.sha256(answer.policy).digest() == reigns[-1].hash else "it is another policy"
    except (EncodingError, HandoverRefused) as refused:
        problem = str(refused)
    if problem:
        text = f"the node's policy does not follow from {session.profile.genesis}: {problem}"
        return Answer({"verified": False, "problem": problem}, [], ExitCode.VERIFICATION_FAILED, text)
    return _tell(reigns)


def _tell(reigns: tuple[Reign, ...]) -> Answer:
    newest = reigns[-1]
    names = [validator.name for validator in newest.policy.validators]
    quorum = newest.policy.quorum
    facts = {
        "verified": True,
        "since": newest.since,
        "hash": newest.hash.hex(),
        "validators": [{"name": each.name, "vote_key": each.vote_key.hex()} for each in newest.policy.validators],
        "quorum": quorum,
        "handovers": [{"since": reign.since, "hash": reign.hash.hex()} for reign in reigns[1:]],
    }
    changes = [
        (str(reign.since), reign.hash.hex()[:16], ", ".join(each.name for each in reign.policy.validators))
        for reign in reigns
    ]
    told = f"{quorum} of {len(names)} validators decide: {', '.join(names)}; checked from the genesis file"
    return Answer(facts, [told, Grid((">since height", "policy", "validators"), changes)])


@reads(members_app, "members")
def members(session: Session) -> Answer:
    """List who runs a node of the network by its ledger: standing, address, and TLS key.

    \b
    Example:
      keeling network members
    """
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetGovernance, pb.GetGovernanceRequest())
    rows = [
        (
            each.participant,
            each.standing + (", suspended" if each.suspended else ""),
            each.address or "calls others",
            " ".join(hashlib.sha256(key).hexdigest()[:16] for key in each.tls_keys),
        )
        for each in found.members
    ]
    rules = f"rules {found.rules}" + (
        f", {found.next_rules} from {found.next_rules_height} on" if found.next_rules else ""
    )
    return Answer(facts_of(found), [Grid(("participant", "", "reached at", "TLS key SHA-256"), rows), rules])
