"""`keeling log evidence` and `keeling audit evidence`: who lied, as far as a node can prove it, and checking that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.command import reads, works
from cli.exits import ExitCode, Failed
from cli.output import Answer, Grid
from cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keeling.accusations import Accusation

log_app = typer.Typer()
audit_app = typer.Typer()


@reads(log_app, "evidence")
def evidence(
    session: Session,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write an evidence file.")
    ] = None,
) -> Answer:
    """Show which validators lied, as far as this node came by proofs: two votes in one place, two ordering logs shown.

    The file convinces anybody who has the genesis file; nobody can make one but the owner of the key.

    \b
    Example:
      keeling log evidence -o power.evidence
    """
    from keeling.accusations import EVIDENCE_FILE, EvidenceFile, check_evidence_file
    from keeling.genesis import parse_genesis
    from keeling.v1 import log_pb2 as pb

    found = session.ask(session.log.ListEvidence, pb.ListEvidenceRequest())
    policy = session.ask(session.log.GetPolicy, pb.GetPolicyRequest())
    data = EVIDENCE_FILE.encode(EvidenceFile(tuple(policy.handovers), tuple(found.votes), tuple(found.engines)))
    accused = check_evidence_file(data, parse_genesis(session.profile.genesis.expanduser().read_bytes()))
    if output is not None and accused:
        try:
            with output.open("xb") as file:
                file.write(data)
        except FileExistsError as error:
            text = f"{output} exists already; nothing was overwritten"
            raise Failed(ExitCode.REFUSED, text, reason="FILE_EXISTS", advice="choose another name with -o") from error
    advice = f"check it anywhere: keeling audit evidence {output} --genesis GENESIS" if output and accused else ""
    return _tell(accused, advice)


@works(audit_app, "evidence")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file that keeling log evidence wrote.")],
    genesis: Annotated[Path, typer.Option("--genesis", metavar="FILE", help="Your own copy of the genesis file.")],
) -> Answer:
    """Check proofs that validators lied, with nothing but the genesis file. Names who, what and where.

    \b
    Example:
      keeling audit evidence power.evidence --genesis genesis
    """
    from keeling.accusations import EvidenceRefused, check_evidence_file
    from keeling.genesis import parse_genesis

    try:
        accused = check_evidence_file(file.read_bytes(), parse_genesis(genesis.read_bytes()))
    except FileNotFoundError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{error.filename}: there is no such file") from error
    except EvidenceRefused as refused:
        raise Failed(ExitCode.VERIFICATION_FAILED, f"{file} proves nothing: {refused}") from refused
    return _tell(accused, "")


def _tell(accused: Sequence[Accusation], advice: str) -> Answer:
    facts = {"lies": [each._asdict() for each in accused]}
    grid = Grid(("who", "what", "where"), [tuple(each) for each in accused], "nobody is known to have lied")
    return Answer(facts, [grid, advice])
