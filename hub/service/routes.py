"""Every call of a hub in one table: its HTTP path, its gRPC method, and who may make it. Pure.

`web` and `rpc` serve exactly the table; what registries call, `/inbound/REGISTRY`, is theirs and in docs/hub.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from hub.service.config import Role


class Route(NamedTuple):
    """One call."""

    method: str
    path: str
    name: str
    role: Role | None
    """Who may call; None: anybody who reaches it."""
    says: str
    rpc: str = ""
    """The method of `keeling.v1.Hub` that does the same; empty: there is none."""
    success: tuple[int, ...] = (200,)
    body: str = ""
    """The schema of what is sent; empty: nothing."""
    keyed: bool = False
    """Whether an Idempotency-Key must come along."""
    query: Mapping[str, str] = {}
    """Parameters, and what each means."""


PAGED: Final = {"page_size": "rows of a page, 1 to 1000", "page_token": "of the page before"}
RUN: Final = {"run": "only if the newest run has this name"}
SHRUNK: Final = {"believe_shrunk": "true: a person has seen that the registry's list really is so much shorter"}
AFTER: Final = {"after": "HEIGHT.ORDINAL of the last event seen"}

ROUTES: Final = (
    Route("GET", "/health", "health", None, "Whether the ledger answers and the dispatcher goes round", "GetHubHealth"),
    Route("GET", "/metrics", "metrics", None, "Figures for Prometheus"),
    Route("GET", "/openapi.json", "openapi", None, "This document"),
    Route(
        "GET",
        "/v1/registries",
        "registries",
        "viewer",
        "Connected registries, each with driver and honesty marks",
        "ListRegistries",
        query=PAGED,
    ),
    Route(
        "GET",
        "/v1/links",
        "links",
        "viewer",
        "Accounts of the ledger that this hub carries for, and their state",
        "ListLinks",
        query=PAGED,
    ),
    Route(
        "GET",
        "/v1/backlog",
        "backlog",
        "viewer",
        "Everything that is not over, as it was placed, with age and reason",
        "ListBacklog",
        query=PAGED,
    ),
    Route(
        "GET",
        "/v1/blocks",
        "blocks",
        "viewer",
        "What is blocked at registries for sessions, waits to be, or was refused lately",
        "ListBlocks",
        query=PAGED,
    ),
    Route(
        "POST",
        "/v1/blocks",
        "order_block",
        "operator",
        "Block units for a session, or let them out; one order a key",
        "OrderBlock",
        body="Block",
        keyed=True,
    ),
    Route(
        "GET",
        "/v1/registries/{registry}/balances/{account}",
        "balance",
        "viewer",
        "What a registry says of an account in sums, where it tells them",
        "GetRegistryBalance",
    ),
    Route(
        "GET",
        "/v1/waiting",
        "waiting",
        "viewer",
        "News of registries that cannot be taken yet, why, and what a person can do",
        "ListWaiting",
        query=PAGED,
    ),
    Route(
        "GET",
        "/v1/proposals",
        "proposals",
        "viewer",
        "What registries ask us to accept or decline, the soonest to end first",
        "ListProposals",
        query=PAGED,
    ),
    Route(
        "POST",
        "/v1/proposals/{registry}/{reference}",
        "decide_proposal",
        "operator",
        "Accept or decline, once and for all",
        "DecideProposal",
        body="Decision",
    ),
    Route("GET", "/v1/holds/{hold}", "hold", "viewer", "One hold, with what a buyer is told", "GetHold"),
    Route(
        "POST",
        "/v1/holds",
        "place_hold",
        "trader",
        "Hold units that were sold; one hold a key",
        "PlaceHold",
        success=(201, 200),
        body="Hold",
        keyed=True,
    ),
    Route(
        "POST",
        "/v1/holds/{hold}/withdrawal",
        "withdraw",
        "operator",
        "Take back what was instructed, while the registry allows it",
        "WithdrawHold",
        body="Withdrawal",
    ),
    Route(
        "GET",
        "/v1/holds/{hold}/certificates",
        "certificates",
        "viewer",
        "Certificates of a hold, one for each capture",
        "ListCertificates",
        query=PAGED,
    ),
    Route(
        "GET",
        "/v1/holds/{hold}/certificates/{event}",
        "certificate",
        "viewer",
        "One certificate with its proof, made now: JSON, or a page for who accepts text/html",
        "GetCertificate",
    ),
    Route(
        "POST",
        "/v1/reconciliations/{registry}",
        "reconcile",
        "operator",
        "Compare a registry with the ledger now",
        "Reconcile",
        query=SHRUNK,
    ),
    Route(
        "GET",
        "/v1/reconciliations/{registry}",
        "reconciliation",
        "viewer",
        "How far the comparison under way is, and the newest run of this hub",
        "GetReconciliation",
    ),
    Route(
        "GET",
        "/v1/reconciliations/{registry}/differences",
        "differences",
        "viewer",
        "Differences of the newest run of this hub",
        "ListDifferences",
        query=PAGED | RUN,
    ),
    Route(
        "GET",
        "/v1/events",
        "events",
        "viewer",
        "The ledger's events as server-sent events from a cursor on",
        "WatchLedger",
        query=AFTER,
    ),
)

BY_RPC: Final[Mapping[str, Route]] = {route.rpc: route for route in ROUTES if route.rpc}
