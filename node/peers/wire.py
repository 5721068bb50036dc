"""Messages of `contract` as they travel (`keeling/v1/peers.proto`), and the greeting with which a link begins.

Pure: values in, values out. Only shapes and sizes are looked at here; what a message says is checked by who takes it.
"""

from __future__ import annotations

from typing import Final

from keeling.v1 import peers_pb2 as pb
from node.incidents import ENGINE_EVIDENCE, VOTE_EVIDENCE
from node.peers.contract import (
    CosignedMessage,
    EpochMessage,
    EvidenceMessage,
    FetchedBlock,
    FinalRecord,
    Message,
    ReportMessage,
    TipMessage,
    VoteMessage,
)

OLDEST_VERSION: Final = 1
NEWEST_VERSION: Final = 1
MESSAGE_BYTES_MAX: Final = 1 << 20
"""No message between honest nodes comes near: the longest are the reports of 22 of 32 validators, some 150 kB."""
WORDS_MAX: Final = 4
_KINDS: Final = {VOTE_EVIDENCE: "vote_evidence", ENGINE_EVIDENCE: "engine_evidence"}
PAGE_BYTES_MAX: Final = 1 << 20
"""Bytes of blocks in one message of a follow, the first block apart, so that it fits a call."""


class HelloRefused(Exception):
    """The node at the other end is not one to talk to. `reason` is the stable word for it, the text says why."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class BadMessage(Exception):
    """The bytes are no message; the text says why. The link goes on without it."""


def format_hello(network: bytes, release: str) -> pb.PeerMessage:
    """The first message of either side."""
    hello = pb.Hello(network=network, oldest_version=OLDEST_VERSION, newest_version=NEWEST_VERSION, release=release)
    return pb.PeerMessage(hello=hello)


def check_hello(message: pb.PeerMessage, network: bytes) -> None:
    """Refuse, with `HelloRefused`, a node of another network or one that speaks no version we do."""
    if message.WhichOneof("message") != "hello":
        raise HelloRefused("NO_HELLO", "a link begins with Hello, this one did not: the other end is no node of ours")
    hello = message.hello
    if hello.network != network:
        text = f"this node is of network {network.hex()}, the other of {hello.network.hex() or 'none'}"
        raise HelloRefused("OTHER_NETWORK", f"{text}: compare the genesis files")
    if hello.oldest_version > NEWEST_VERSION or hello.newest_version < OLDEST_VERSION:
        text = (
            f"this node speaks versions {OLDEST_VERSION} to {NEWEST_VERSION} of the protocol between nodes, the other "
            f"(release {hello.release[:40]!r}) {hello.oldest_version} to {hello.newest_version}: upgrade the older one"
        )
        raise HelloRefused("OTHER_VERSION", text)


def format_message(message: Message) -> pb.PeerMessage:
    """A message as it is sent."""
    match message:
        case VoteMessage(signed):
            return pb.PeerMessage(vote=signed)
        case ReportMessage(signed):
            return pb.PeerMessage(report=signed)
        case EpochMessage(opened):
            return pb.PeerMessage(epoch=opened)
        case TipMessage(height, epoch, engine_ok):
            return pb.PeerMessage(tip=pb.Tip(height=height, epoch=epoch, engine_ok=engine_ok))
        case CosignedMessage(height, lines, again):
            return pb.PeerMessage(cosigned=pb.Cosigned(height=height, lines=lines, again=again))
        case EvidenceMessage(kind, evidence):
            return pb.PeerMessage(**{_KINDS[kind]: evidence})  # type: ignore[arg-type]


def parse_message(raw: pb.PeerMessage) -> Message | pb.Ping:
    """A message as it arrived; raises `BadMessage`. A `Ping` is the link's own business."""
    if raw.ByteSize() > MESSAGE_BYTES_MAX:
        raise BadMessage(f"a message of {raw.ByteSize()} bytes, at most {MESSAGE_BYTES_MAX} are read")
    match raw.WhichOneof("message"):
        case "vote":
            return VoteMessage(raw.vote)
        case "report":
            return ReportMessage(raw.report)
        case "epoch":
            return EpochMessage(raw.epoch)
        case "tip":
            return TipMessage(raw.tip.height, raw.tip.epoch, raw.tip.engine_ok)
        case "cosigned":
            return CosignedMessage(raw.cosigned.height, raw.cosigned.lines, raw.cosigned.again)
        case "vote_evidence":
            return EvidenceMessage(VOTE_EVIDENCE, raw.vote_evidence)
        case "engine_evidence":
            return EvidenceMessage(ENGINE_EVIDENCE, raw.engine_evidence)
        case "ping":
            return raw.ping
        case "hello":
            raise BadMessage("a second Hello on one link")
        case _:
            raise BadMessage("a message of a kind that this release does not know")


def split_records(records: tuple[FinalRecord, ...]) -> list[pb.FinalPage]:
    """Blocks in messages that each fit a call, in order."""
    pages = [pb.FinalPage()]
    size = 0
    for record in records:
        size += sum(map(len, record))
        if pages[-1].blocks and size > PAGE_BYTES_MAX:
            pages.append(pb.FinalPage())
            size = sum(map(len, record))
        pages[-1].blocks.append(
            pb.FinalBlock(
                header=record.header,
                certificate=record.certificate,
                entry=record.entry,
                checkpoint=record.checkpoint,
            )
        )
    return pages


def parse_records(page: pb.FinalPage) -> tuple[FinalRecord, ...]:
    """The blocks of one message."""
    return tuple(FinalRecord(b.header, b.certificate, b.entry, b.checkpoint) for b in page.blocks)


def format_candidate(block: FetchedBlock) -> pb.Candidate:
    """An executed block as it is sent."""
    return pb.Candidate(header=block.header, entry=block.entry, leaves=block.leaves, tables=block.tables)


def parse_candidate(raw: pb.Candidate) -> FetchedBlock:
    """An executed block as it arrived."""
    return FetchedBlock(raw.header, raw.entry, raw.leaves, raw.tables)
