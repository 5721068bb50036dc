"""`keeling network status|reseed`: all nodes of a network at a glance, and leaving an ordering log that fails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cli.command import works
from cli.exits import ExitCode, Failed
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_units

if TYPE_CHECKING:
    from keeling.v1.ledger_pb2 import Status
    from network.folders import NodeFolder
    from network.plan import NetworkPlan, Organisation
    from network.transport import Destination

app = typer.Typer()

ASK_S = 5.0
_FILE = Annotated[Path, typer.Argument(metavar="NETWORK.TOML", help="The network file.")]


class Seen(NamedTuple):
    """One node: what it says, or why it says nothing."""

    organisation: Organisation
    status: Status | None
    problem: str


class Own(NamedTuple):
    """An organisation whose node is on this machine."""

    organisation: Organisation
    folder: NodeFolder


@works(app, "status")
def status(file: _FILE) -> Answer:
    """Show every node of a network: how far it is, how it stands with finality, and who is waited for.

    Asks with the certificate of a node of this machine. What a node warns of is below the table. A validator that has
    another vote key than the ledger names does not count. Exit code 4 when finality cannot go on.

    \b
    Example:
      keeling network status trial.toml
    """
    from network.plan import compute_tolerance, load_plan

    plan = load_plan(file)
    asker = _own_folders(plan, file)[0].folder
    seen = [_ask(each, _destination(asker, each)) for each in plan.organisations]
    bears = compute_tolerance(len(plan.validators))
    answering = [each for each in seen if each.organisation.validator and each.status is not None]
    mute = [each for each in answering if each.status is not None and "vote" in each.status.wrong_keys]
    up = len(answering) - len(mute)
    spare = up - bears.quorum
    can = f"{len(answering)} of {bears.validators} validators answer" + (f", {up} can vote" if mute else "")
    if spare < 0:
        verdict = f"{can}, {bears.quorum} are needed: nothing becomes final"
    else:
        verdict = f"{can}, {bears.quorum} decide: {spare} more may stop"
    highest = max((each.status.height for each in seen if each.status is not None), default=0)
    rows = [_row(each, highest) for each in seen]
    facts: dict[str, Any] = {
        "origin": plan.origin,
        "nodes": [
            {"id": each.organisation.id, "problem": each.problem}
            | ({"status": facts_of(each.status)} if each.status is not None else {})
            for each in seen
        ],
        "validators_up": up,
        "may_still_stop": max(0, spare),
    }
    code = ExitCode.DONE if spare >= 0 else ExitCode.VERIFICATION_FAILED
    grid = Grid(("node", "", ">height", ">epoch", "health", "waiting for", "not linked to"), rows)
    warnings = [f"{each.organisation.id}: {text}" for each in seen if each.status for text in each.status.warnings]
    return Answer(facts, [grid, verdict, *(f"warning: {text}" for text in warnings)], code)


def _row(seen: Seen, highest: int) -> tuple[str, ...]:
    part = "validator" if seen.organisation.validator else "observer"
    if seen.status is None:
        return seen.organisation.id, part, "?", "?", seen.problem, "", ""
    behind = highest - seen.status.height
    health = seen.status.health + (f", {format_units(behind)} behind" if behind > 1 else "")
    waiting = ", ".join(seen.status.waiting_for) or "nobody"
    apart = ", ".join(link.participant for link in seen.status.links if not link.connected)
    height, epoch = format_units(seen.status.height), str(seen.status.epoch)
    return seen.organisation.id, part, height, epoch, health, waiting, apart


def _ask(organisation: Organisation, destination: Destination) -> Seen:
    import grpc

    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1.ledger_pb2_grpc import LedgerStub
    from network.diagnosis import diagnose
    from network.transport import open_channel

    with open_channel(destination) as channel:
        try:
            return Seen(organisation, LedgerStub(channel).GetStatus(pb.GetStatusRequest(), timeout=ASK_S), "")
        except grpc.RpcError as error:
            return Seen(organisation, None, diagnose(destination) or f"did not answer: {error.code().name}")


@works(app, "reseed")
def reseed(
    file: _FILE,
    host: Annotated[
        str, typer.Option("--host", metavar="ID", help="Whose node hosts the new log; default: by turns.")
    ] = "",
) -> Answer:
    """Have the validators of this machine leave the ordering log in use for a new, empty one.

    For when the engine lost or changed entries, or should move. Nothing final is touched, and what was not final is
    offered again. The new epoch opens once a quorum of validators asks for it: more than a third of them, and the
    others join by themselves.

    \b
    Example:
      keeling network reseed trial.toml
      keeling network reseed trial.toml --host acme
    """
    import grpc

    from keeling.v1 import operator_pb2 as pb
    from keeling.v1.operator_pb2_grpc import OperatorStub
    from network.plan import load_plan
    from network.transport import open_channel

    plan = load_plan(file)
    rows: list[tuple[str, str]] = []
    leaving: int | None = None
    for organisation, folder in _own_folders(plan, file):
        if not organisation.validator:
            continue
        with open_channel(_destination(folder, organisation)) as channel:
            try:
                request = pb.ReseedRequest(host=host, leaving=leaving)
                answer = OperatorStub(channel).Reseed(request, timeout=ASK_S)
            except grpc.RpcError as error:
                rows.append((organisation.id, f"not asked: {error.details() or error.code().name}"))
                continue
        leaving = answer.epoch if leaving is None else leaving
        said = f"reported, leaves epoch {answer.epoch}" if answer.reported else f"is in epoch {answer.epoch} already"
        rows.append((organisation.id, said))
    facts = {"nodes": [{"id": name, "result": result} for name, result in rows]}
    return Answer(facts, [Grid(("node", ""), rows), f"next: keeling network status {file}"])


def _own_folders(plan: NetworkPlan, file: Path) -> list[Own]:
    """The nodes of the network that are on this machine: beside their cards, of a trial, or known as profiles."""
    from network.folders import NodeFolder
    from network.profiles import find_home, load_profiles

    profiles = load_profiles(find_home()).by_name.values()
    roots = {each.participant: each.genesis.expanduser().parent for each in profiles if each.origin == plan.origin}
    found = []
    for each in plan.organisations:
        places = [file.absolute().with_suffix("") / each.id, roots.get(each.id)]
        if each.card is not None:
            places.insert(0, each.card.parent)
        root = next((place for place in places if place is not None and (place / "node.toml").exists()), None)
        if root is not None:
            found.append(Own(each, NodeFolder(root)))
    if not found:
        text = f"no node of {plan.origin} has its folder on this machine"
        raise Failed(ExitCode.NOT_FOUND, text, advice=f"start a trial with keeling network up {file}")
    return found


def _destination(folder: NodeFolder, organisation: Organisation) -> Destination:
    """How the node of `folder` reaches that of an organisation."""
    from keeling.genesis import parse_genesis
    from network.certificates import encode_public_key
    from network.config import load_config
    from network.contacts import with_founders
    from network.keys import read_passphrase
    from network.transport import Destination, TlsFiles

    config = load_config(folder.config)
    config = with_founders(config, parse_genesis(config.genesis.read_bytes()))
    identity = TlsFiles(config.tls.key, config.tls.certificate, read_passphrase()).current()
    return Destination(organisation.listen, organisation.id, config.trust(encode_public_key(identity.key)), identity)
