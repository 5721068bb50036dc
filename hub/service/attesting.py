"""Attestations between organisations in a running hub: whom ours asks, and what it answers others, as configured.

What attesting means is in `hub.cosigning`; the routes are mounted by `running`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from aiohttp import web

from hub.cosigning import Attestor, HttpPeer, collect_from
from hub.dispatch.lines import Lines
from hub.dispatch.seat import Seat
from hub.evidence import EvidenceShelf
from hub.ledger_client import Signatory
from hub.service.callers import TOKEN_LEAST
from hub.service.config import AttestingSection, HubConfig
from hub.service.secrets import read_secret
from network.keys import Signer


def open_signatory(config: HubConfig, submitter: Signer, approvers: Sequence[Signer]) -> Signatory:
    """Who signs for the hub: its own keys, and the peers of the file, who are asked for every attestation."""
    own = tuple(approvers) or (submitter,)
    if not config.peers:
        return Signatory(submitter, own)
    peers = {each.name: HttpPeer(each.url, _open_token(each.token)) for each in config.peers}
    return Signatory(submitter, own, collect_from(peers, EvidenceShelf(config.evidence).get))


def open_attesting(
    section: AttestingSection, seat: Seat, lines: Lines, network: bytes, signers: Sequence[Signer]
) -> list[web.RouteDef]:
    """What others may ask of us, signed with the first key that attests."""
    return Attestor(seat, lines, network, signers[0]).routes(_open_token(section.token))


def _open_token(file: Path) -> Callable[[], str]:
    """The token as it is now; empty, which opens nothing, where it is too short."""

    def read() -> str:
        found = read_secret(file)
        return found if len(found) >= TOKEN_LEAST else ""

    return read
