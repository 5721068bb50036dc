"""What a node says of itself in `Status`: from one frozen view of its store, its replica and its links."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import NamedTuple

from keeling.block import FORMAT, RULES, parse_header
from keeling.submission import MAX_SUBMISSION_BYTES, MAX_TRANSACTIONS
from keeling.v1 import ledger_pb2 as pb
from keeling.votes import CERTIFICATE
from node.archive import height_key
from node.core.governance.versions import find_unknown_decided
from node.core.limits import ID_WINDOW_MS, LOTS_MAX, OPERATIONS_MAX
from node.core.state import State
from node.health import describe_health
from node.ledger import StateReader, read_height
from node.peers.links import LinkState
from node.reads.pages import PAGE_MAX
from node.replica import Replica
from node.store.contract import Family, Reads
from node.upkeep import Upkeep


class Reporter(NamedTuple):
    """What a status is made from, besides the store."""

    replica: Replica
    participant: str
    transactions_max: int
    call_bytes_max: int
    clock_ms: Callable[[], int]
    upkeep: Upkeep | None
    links: Callable[[], Sequence[LinkState]]

    def report(self, view: Reads) -> pb.Status:
        """The node as it is now; height, tree and state are of one block."""
        chain, outlook, now_ms = self.replica.chain, self.replica.chain.outlook, self.clock_ms()
        height = read_height(view)
        leaf, certificate = (view.get(Family.BLOCKS, height_key(kind, height)) for kind in (b"h", b"c"))
        header = parse_header(leaf) if leaf is not None else None
        health, upkeep = describe_health(self.replica, now_ms), self.upkeep
        unknown = find_unknown_decided(State(StateReader(view)))
        return pb.Status(
            warnings=[*([] if upkeep is None else upkeep.find_warnings()), *([unknown] if unknown else [])],
            wrong_keys=() if upkeep is None else upkeep.wrong_keys(),
            certificate_ends_ms=0 if upkeep is None else int(upkeep.certificate_ends.timestamp()) * 1_000,
            origin=outlook.policy.origin,
            network=chain.genesis.network,
            participant=self.participant,
            version=version("keeling"),
            format=FORMAT,
            rules=RULES,
            height=height,
            time_ms=header.time_ms if header else chain.genesis.created_ms,
            clock_ms=now_ms,
            tree_size=header.first_leaf + header.leaves if header else 0,
            root=CERTIFICATE.decode(certificate).lock.root if certificate else outlook.root,
            state_writes=header.writes if header else chain.overlay.final.writes,
            validators=len(outlook.policy.validators),
            quorum=outlook.policy.quorum,
            health=health.text,
            waiting_for=health.waiting_for,
            pending=self.replica.pending,
            epoch=outlook.log.epoch,
            ordering_log=outlook.log.name,
            links=[_describe(link) for link in self.links()],
            limits=pb.Limits(
                transactions_per_submission=self.transactions_max,
                transactions_per_call=MAX_TRANSACTIONS,
                bytes_per_call=self.call_bytes_max,
                bytes_per_submission=MAX_SUBMISSION_BYTES,
                operations_per_transaction=OPERATIONS_MAX,
                lots_per_selection=LOTS_MAX,
                id_window_ms=ID_WINDOW_MS,
                page_max=PAGE_MAX,
            ),
        )


def _describe(link: LinkState) -> pb.Status.Link:
    return pb.Status.Link(
        participant=link.participant,
        validator=link.validator,
        connected=link.connected,
        problem=link.problem,
        height=link.height,
        dropped=link.dropped,
    )
