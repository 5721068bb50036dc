"""`keeling audit succession`: does a successor's genesis file tell the truth of the network before?

The old log is executed again from its own genesis file on; the state it ends with must be the one taken over, and the
last block the one that the old validators certified. Imports the rules of the node, as `cli.audit` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from cli.command import works
from cli.exits import ExitCode, Failed, misused
from cli.output import Answer, Grid

if TYPE_CHECKING:
    from keeling.genesis import Genesis
    from keeling.handover import Handover
    from keeling.snapshot import Row
    from node.replay import Shown
    from node.succeed import Checked

app = typer.Typer()


class Log(NamedTuple):
    """A whole log as far as somebody has it: its changes of policy, and its blocks by height."""

    handovers: Sequence[Handover]
    blocks: Iterator[tuple[int, Shown]]


@works(app, "succession")
def succession(
    file: Annotated[Path, typer.Argument(metavar="GENESIS", help="The successor's genesis file.")],
    before: Annotated[
        Path,
        typer.Option("--before", metavar="OLD", help="The old ledger: a node's folder, a backup, or a whole bundle."),
    ],
    before_genesis: Annotated[
        Path, typer.Option("--before-genesis", metavar="FILE", help="Your own copy of the old network's genesis file.")
    ],
) -> Answer:
    """Does a successor's genesis file name the old ledger's last certificate and exactly the state it led to?

    Executes the old log again; needs no node. Shows what the file changes of who does what: people judge that. What it
    cannot know: whether blocks were final after the one it names.

    \b
    Example:
      keeling audit succession second-genesis --before acme --before-genesis genesis
    """
    from keeling.bundle import BundleError
    from keeling.genesis import parse_genesis
    from node.core.state import State
    from node.export import ExportError
    from node.replay import replay
    from node.store.contract import StoreError
    from node.succeed import SuccessionRefused, check_succession, list_parts

    known, raw = parse_genesis(_read(file)), _read(before_genesis)
    old, succeeds = parse_genesis(raw), known.succeeds
    if succeeds is None:
        raise misused(f"{file} takes nothing over", "name the genesis file that keeling network succeed made")
    rows = read_before(old, before)
    headers: list[bytes] = [b""]

    def until(blocks: Iterator[tuple[int, Shown]]) -> Iterator[tuple[int, Shown]]:
        for height, shown in blocks:
            if height > succeeds.height:
                return
            headers[0] = shown.header
            yield height, shown

    try:
        with _open_log(before, raw, old, succeeds.height) as log:
            replayed = replay(old, until(log.blocks), before=rows)
            found = check_succession(succeeds, old, log.handovers, replayed, headers[0])
    except (SuccessionRefused, BundleError) as refused:
        facts = {"holds": False, "failure": str(refused)}
        return Answer(facts, ["does NOT hold"], ExitCode.VERIFICATION_FAILED, f"verification failed: {refused}")
    except (StoreError, ExportError) as error:
        raise Failed(ExitCode.NOT_FOUND, str(error)) from error
    return _tell(known, old, found, list_parts(State(replayed.state)))


def _tell(known: Genesis, old: Genesis, found: Checked, parts: Sequence[Mapping[str, object]]) -> Answer:
    from cli.succession_changes import compare_parts, format_changes, list_founded, parse_parts, warn_of_losses

    changes = compare_parts(parse_parts(parts), list_founded(known))
    table = [
        ("succeeds", f"{old.origin}, network {old.network.hex()}"),
        ("taken over", f"the state of height {found.height}, after {found.transactions:,} transactions"),
        ("digest", found.digest.hex()),
        ("certified by", f"{len(found.signers)} validators of the old network"),
    ]
    facts = {"holds": True, "height": found.height, "digest": found.digest.hex(), "before": old.network.hex()}
    facts["changes"] = [each._asdict() for each in changes]
    headline = f"holds: {known.origin} goes on from exactly what was final on {old.origin}"
    return Answer(facts, [headline, Grid(("", ""), table), format_changes(changes), *warn_of_losses(changes)])


@contextmanager
def _open_log(place: Path, raw: bytes, old: Genesis, height: int) -> Iterator[Log]:
    if not place.exists():
        raise Failed(ExitCode.NOT_FOUND, f"{place}: there is no such folder or file")
    if place.is_file():
        yield _open_bundle(place.read_bytes(), raw)
        return
    from node.handovers import read_handovers
    from node.state_audit import open_read_only, read_blocks, read_newest

    with open_read_only(place) as reads:
        yield Log(read_handovers(reads, height), read_blocks(reads, old, min(height, read_newest(reads))))


def _open_bundle(data: bytes, raw: bytes) -> Log:
    from keeling.bundle import BundleError, Kind, parse_bundle, read_part
    from keeling.bundle_parts import HANDOVERS, read_whole_blocks
    from keeling.verify import verify_bundle

    failure = verify_bundle(data, raw).failure
    if failure is not None:
        raise BundleError(*failure)
    bundle = parse_bundle(data)
    if bundle.manifest.kind is not Kind.WHOLE:
        raise misused("only a whole bundle can be re-executed", "export one without --account, --from and --until")
    return Log(HANDOVERS.decode(read_part(bundle, 2)), iter(read_whole_blocks(bundle)))


def read_before(genesis: Genesis, place: Path | None) -> Iterable[list[Row]] | None:
    """The rows of the state that a network took over, from a folder that has it; None where it took over none."""
    from node.snapshots import SnapshotError
    from node.succeed import find_snapshot, read_rows

    if genesis.succeeds is None:
        return None
    if place is None or not place.is_dir():
        text = f"{genesis.origin} began with the state of another network, which is in no bundle"
        raise misused(
            text, "name a folder that has it: a node of either network, or a copy of its snapshots (--before)"
        )
    try:
        return read_rows(genesis.succeeds, find_snapshot(place, genesis.succeeds))
    except SnapshotError as error:
        raise Failed(ExitCode.NOT_FOUND, str(error)) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Failed(ExitCode.NOT_FOUND, f"{path}: there is no such file") from error
