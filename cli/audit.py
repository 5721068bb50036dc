"""`keeling audit`: check a bundle without a node, and compute a node's state again from its log.

Checking is `keeling.verify` and needs the genesis file only. Re-executing imports the rules of the node, lazily and
only when asked for; nothing else of the program does.
"""

from __future__ import annotations

import mmap
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from cli.audit_succession import app as succession_app
from cli.audit_succession import read_before
from cli.command import works
from cli.evidence import audit_app as evidence_app
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid

if TYPE_CHECKING:
    from keeling.verify import CheckPart, RunParts, Verdict
    from keeling.verify_block import PartDone, PartJob
    from node.replay import Replayed
    from node.state_audit import StateAudit

audit_app: Final = typer.Typer(
    help="Check a bundle or a node's state against the genesis file.", no_args_is_help=True, rich_markup_mode=None
)
audit_app.add_typer(evidence_app)
audit_app.add_typer(succession_app)

_GENESIS = Annotated[
    Path, typer.Option("--genesis", metavar="FILE", help="Your own copy of the genesis file: the root of all trust.")
]
_JOBS = Annotated[
    int | None,
    typer.Option("--jobs", min=1, metavar="N", help="Processes that check signatures; default: one for each core."),
]


@works(audit_app, "verify")
def verify(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="The file that keeling log export wrote.")],
    genesis: _GENESIS,
    replay: Annotated[bool, typer.Option("--replay", help="Also execute every entry again by the rules.")] = False,
    before: Annotated[
        Path | None,
        typer.Option("--before", metavar="FOLDER", help="For --replay of a successor: the state that it took over."),
    ] = None,
    jobs: _JOBS = None,
) -> Answer:
    """Is everything in the bundle final, and exactly what the validators signed?

    Needs no node, only the bundle and your own copy of the genesis file. The first difference is named: where, what,
    expected, found. --replay also executes every entry again by the rules.

    \b
    Example:
      keeling audit verify a.bundle --genesis genesis
      keeling audit verify whole.bundle --genesis genesis --replay
    """
    from keeling.bundle import BundleError, Kind, parse_bundle
    from keeling.verify import verify_bundle

    trusted, data = _read(genesis), _map(bundle)
    parts = 1
    try:
        layout = parse_bundle(data)
        parts = len(layout.manifest.parts) - layout.fixed
        if replay and layout.manifest.kind is not Kind.WHOLE:
            raise misused("only a whole bundle can be re-executed", "export one without --account, --from and --until")
    except BundleError:
        replay = False  # verify_bundle says what is wrong with it
    workers = min(jobs or os.cpu_count() or 1, parts)
    with _progress("checking") as tell:
        verdict = verify_bundle(data, trusted, map if workers < 2 else _run_in_processes(workers), tell)
    replayed = _replay(data, trusted, before) if replay and verdict.failure is None else None
    return _tell_verdict(verdict, replayed)


@works(audit_app, "certificate")
def certificate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A certificate, as a page or as JSON.")],
    genesis: _GENESIS,
) -> Answer:
    """Did these units end as the certificate says, and was any of it withdrawn?

    Needs no node, only the certificate and your own copy of the genesis file. It shows what happened, and nothing of
    what came later or was left out: ask the hub for a new one, or the registry, whether anything was taken back since.

    \b
    Example:
      keeling audit certificate retirement.html --genesis genesis
    """
    from keeling.certificate import CertificateError, check_certificate
    from keeling.certificate_page import read_page, say_purpose

    trusted, data = _read(genesis), _read(file)
    try:
        found = read_page(data)
        standing = check_certificate(found, trusted)
    except CertificateError as error:
        facts = {"holds": False, "failure": str(error)}
        return Answer(facts, ["does NOT hold"], ExitCode.VERIFICATION_FAILED, f"verification failed: {error}")
    facts = {
        "holds": True,
        **standing._asdict(),
        "registry": found.registry,
        "reference": found.reference,
        "grade": found.grade,
        "driver": found.driver,
    }
    facts["serials"] = [lot.serials for lot in found.lots]
    shown = found.disclosure.shown if found.disclosure else ()
    facts["disclosed"] = [field._asdict() for field in shown]
    lines = [f"holds, and is {standing.status} at height {standing.height} of {standing.origin}"]
    lines += [f"{standing.units:,} units {found.ended} at {found.registry} as {found.reference}, grade {found.grade}"]
    if found.purpose is not None:
        facts["purpose"] = found.purpose._asdict()
        lines += [f"used for {say_purpose(found.purpose)}"]
    lines += [f"withdrawn: {standing.withdrawn_units:,} units"] if standing.withdrawn_units else []
    lines += ["sandbox: not a real registry"] if found.driver == "sandbox" else []
    lines += [f"the salted hash on the ledger is of: {name}: {value}" for name, value in shown]
    lines += [f"what was taken back after height {standing.height} is not in it; proved at height {standing.proved_at}"]
    stated = "how it was reached, serials, unit of measure, the registry's name and the units' origin"
    lines += [f"{stated} are as its issuer states them; all else was found in the proof"]
    return Answer(facts, lines)


@works(audit_app, "state")
def state(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A node's folder, a backup of it, or a whole bundle.")
    ],
    genesis: _GENESIS,
) -> Answer:
    """Compute the state again from the log, and compare it with what is stored.

    \b
    Example:
      keeling audit state natreg --genesis genesis
    """
    from keeling.genesis import parse_genesis

    trusted = _read(genesis)
    if folder.is_file():
        return _tell_bundle_state(_map(folder), trusted)
    if not folder.exists():
        raise Failed(ExitCode.NOT_FOUND, f"{folder}: there is no such folder or file")
    from node.export import ExportError
    from node.state_audit import audit_state, open_read_only, read_newest
    from node.store.contract import StoreError

    try:
        with open_read_only(folder) as reads, _progress("executing") as tell:
            known, total = parse_genesis(trusted), read_newest(reads)
            audit = audit_state(reads, known, lambda height: tell(height, total), read_before(known, folder))
    except (StoreError, ExportError) as error:
        raise Failed(ExitCode.NOT_FOUND, str(error)) from error
    return _tell_state(audit)


# -- files and processes


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{path}: there is no such file") from error


def _map(path: Path) -> bytes | memoryview:
    """The file's bytes, read by the system as they are needed."""
    try:
        with path.open("rb") as file:
            if not path.stat().st_size:
                return b""
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except FileNotFoundError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{path}: there is no such file") from error


def _run_in_processes(workers: int) -> RunParts:
    """Like `map`, in other processes, in order, with a bounded number of parts under way."""
    from concurrent.futures import Future, ProcessPoolExecutor
    from multiprocessing import get_context

    def run(check: CheckPart, parts: Iterable[PartJob]) -> Iterator[PartDone]:
        pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
        pending: deque[Future[PartDone]] = deque()
        try:
            for part in parts:
                pending.append(pool.submit(check, part))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    return run


@contextmanager
def _progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error where a person looks at it; otherwise nothing."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# -- re-execution


def _replay(data: bytes | memoryview, trusted: bytes, before: Path | None = None) -> Replayed:
    from keeling.bundle import parse_bundle
    from keeling.bundle_parts import read_whole_blocks
    from keeling.genesis import parse_genesis
    from node.replay import replay

    bundle, known = parse_bundle(data), parse_genesis(trusted)
    total, rows = bundle.manifest.height, read_before(known, before)
    with _progress("executing") as tell:
        return replay(known, read_whole_blocks(bundle), lambda height: tell(height, total), rows)


# -- telling


def _tell_verdict(verdict: Verdict, replayed: Replayed | None) -> Answer:
    if verdict.facts is None:
        failure = verdict.failure
        named = {} if failure is None else failure._asdict()
        rows = [(name, text) for name, text in named.items()]
        complaint = f"verification failed: {failure}"
        facts: dict[str, Any] = {"intact": False, "failure": named, "rules_hold": None}
        return Answer(facts, ["NOT intact", Grid(("", ""), rows)], ExitCode.VERIFICATION_FAILED, complaint)
    found = verdict.facts
    facts = {
        "intact": True,
        "kind": str(found.kind),
        "origin": found.origin,
        "network": found.network.hex(),
        "height": found.height,
        "size": found.size,
        "root": found.root.hex(),
        "signers": list(found.signers),
        **found.tally._asdict(),
        "selection": None if found.selection is None else found.selection._asdict(),
        "rules_hold": None if replayed is None else replayed.difference is None,
    }
    rows = [
        ("ledger", found.origin),
        ("network", found.network.hex()),
        ("signed by", ", ".join(found.signers)),
        ("tree", f"{found.size} leaves, root {found.root.hex()}"),
        ("scope", verdict.scope),
        ("checked", f"{found.tally.blocks:,} headers, {found.tally.signatures:,} signatures, every result shown"),
    ]
    sections: list[str | Grid] = [verdict.headline, Grid(("", ""), rows)]
    if replayed is None:
        return Answer(facts, sections)
    if replayed.difference is None:
        return Answer(facts, [verdict.headline, f"rules hold (version {replayed.rules})", *sections[1:]])
    facts["difference"] = replayed.difference._asdict()
    sections.append(Grid(("", ""), [(name, str(value)) for name, value in replayed.difference._asdict().items()]))
    complaint = f"the rules do not hold: {replayed.difference}"
    return Answer(facts, sections, ExitCode.VERIFICATION_FAILED, complaint)


def _tell_bundle_state(data: bytes | memoryview, trusted: bytes) -> Answer:
    from keeling.bundle import BundleError, Kind, parse_bundle

    try:
        if parse_bundle(data).manifest.kind is not Kind.WHOLE:
            raise misused("a cut bundle has no state", "name a whole bundle, a node's folder or a backup")
        replayed = _replay(data, trusted)
    except BundleError as error:
        raise Failed(ExitCode.VERIFICATION_FAILED, f"verification failed: {error}") from error
    if replayed.difference is not None:
        raise Failed(ExitCode.VERIFICATION_FAILED, f"the rules do not hold: {replayed.difference}")
    from node.state_audit import compute_state_digest

    digest = compute_state_digest(replayed.state.data.items()).hex()
    keys = len(replayed.state.data)
    facts = {"height": replayed.height, "keys": keys, "computed": digest, "stored": None, "equal": None}
    rows = [("height", str(replayed.height)), ("keys", str(keys)), ("digest", digest)]
    return Answer(facts, ["state computed from the log; a bundle stores none to compare with", Grid(("", ""), rows)])


def _tell_state(audit: StateAudit) -> Answer:
    differences = [
        {
            "key": item.key.hex(),
            "computed": None if item.computed is None else item.computed.hex(),
            "stored": None if item.stored is None else item.stored.hex(),
        }
        for item in audit.differences
    ]
    facts = {
        "equal": audit.equal,
        "height": audit.height,
        "keys": audit.keys,
        "computed": audit.computed.hex(),
        "stored": audit.stored.hex(),
        "differing": audit.differing,
        "differences": differences,
        "difference": None if audit.broken is None else audit.broken._asdict(),
    }
    rows = [
        ("height", str(audit.height)),
        ("keys", str(audit.keys)),
        ("computed from the log", audit.computed.hex()),
        ("stored", audit.stored.hex()),
    ]
    if audit.equal:
        return Answer(facts, ["the stored state is the one the log gives", Grid(("", ""), rows)])
    complaint = f"the stored state is not the one the log gives; keys that differ: {audit.differing}"
    if audit.broken is not None:
        complaint = f"the rules do not hold: {audit.broken}"
    cells = [[item["key"] or "", item["computed"] or "absent", item["stored"] or "absent"] for item in differences]
    table = Grid(("key", "computed", "stored"), cells)
    return Answer(facts, ["NOT equal", Grid(("", ""), rows), table], ExitCode.VERIFICATION_FAILED, complaint)
