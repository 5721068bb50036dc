"""What callers are told over gRPC: plain values as messages of hub.proto. Pure; `bodies` does the same for JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hub.dispatch import answering, blocking
from hub.dispatch.ordering import Wanted
from hub.inbound.waiting import Waiting, tell_waiting
from hub.reconcile.join import Row
from hub.reconcile.report import Line, Run, compute_digest, name_run, sum_up
from hub.service import bodies
from hub.service.bodies import BECAUSE_MAX, Told, tell_proposal
from hub.service.calls import Decision
from hub.service.comparing import Compared
from hub.service.problems import Problem
from keeling.certificate import Certificate
from keeling.v1 import hub_pb2 as hub


def tell_hold(found: Told) -> hub.ToldHold:
    """A hold, with what a buyer is told of it."""
    return hub.ToldHold(hold=found.hold, told=found.told)


def tell_waiting_news(item: Waiting) -> hub.WaitingNews:
    """News that cannot be taken yet."""
    units = item.change.serials.units if item.change.serials is not None else 0
    return hub.WaitingNews(**{**tell_waiting(item), "units": min(units, 2**64 - 1)})


def tell_registry_proposal(line: answering.Line) -> hub.RegistryProposal:
    """An open proposal, and how its answer stands."""
    return hub.RegistryProposal(**{**tell_proposal(line), "units": line.proposal.units})


def read_decision(request: hub.DecideProposalRequest, by: str) -> Decision:
    """The answer that a caller gives; raises `Problem`."""
    if request.action not in (hub.DecideProposalRequest.ACCEPT, hub.DecideProposalRequest.DECLINE):
        raise Problem(400, "bad-request", "action is ACCEPT or DECLINE")
    accepts = request.action == hub.DecideProposalRequest.ACCEPT
    because = read_because(request.because, needed=False)
    return Decision(request.registry, request.reference, accepts, because, by)


def read_because(text: str, *, needed: bool = True) -> str:
    """Why somebody orders something; raises `Problem`."""
    if len(text) > BECAUSE_MAX or (needed and not text):
        raise Problem(400, "bad-request", f"because has {'1 to' if needed else 'at most'} {BECAUSE_MAX} characters")
    return text


def tell_block(line: blocking.Line) -> hub.SessionBlock:
    """An order for a session, and how it stands."""
    told = bodies.tell_block(line)
    return hub.SessionBlock(**{**told, "order": line.name.number, "units": line.units})


def read_block(request: hub.OrderBlockRequest, by: str) -> Wanted:
    """The order that a caller gives; raises `Problem`."""
    kinds = {hub.OrderBlockRequest.BLOCK: "block", hub.OrderBlockRequest.UNBLOCK: "unblock"}
    if request.action not in kinds:
        raise Problem(400, "bad-request", "action is BLOCK or UNBLOCK")
    body = {name: getattr(request, name) for name in ("account", "exchange", "session", "because")}
    body |= {"action": kinds[request.action], "units": request.units or None, "serials": list(request.serials)}
    return bodies.read_block(json.dumps(body).encode(), request.order, by)


def tell_run(run: Run) -> hub.Reconciliation:
    """A run without its differences."""
    return hub.Reconciliation(
        registry=run.registry,
        run=name_run(run),
        driver=run.driver,
        grade=run.grade,
        at_ms=run.at_ms,
        as_of_ms=run.as_of_ms,
        alarm=run.alarm,
        registry_units=run.there_units,
        broken_units=run.broken_units,
        sums=[
            hub.ReconciliationSum(
                name=each.name, action=each.action, units=each.units, differences=each.lines, oldest_ms=each.oldest_ms
            )
            for each in sum_up(run)
        ],
        unread=run.unread,
        anchored=run.anchored,
        digest=compute_digest(run),
        believed_shrunk=bool(run.believed),
    )


def tell_compared(found: Compared) -> hub.ReconciliationState:
    """How far a comparison is, and the newest run."""
    told = hub.ReconciliationState(registry=found.registry)
    if found.progress is not None:
        told.progress.CopyFrom(hub.ReconciliationProgress(**found.progress._asdict()))
    if found.newest is not None:
        told.newest.CopyFrom(tell_run(found.newest))
    return told


def tell_differences(run: Run, lines: Sequence[Line], token: str) -> hub.ListDifferencesResponse:
    """A page of a run's differences."""
    told = [_tell_line(line) for line in lines]
    return hub.ListDifferencesResponse(run=name_run(run), differences=told, next_page_token=token)


def _tell_line(line: Line) -> hub.ReconciliationDifference:
    found = line.difference
    there, here = found.there or Row(0, 0, "", ""), found.here or Row(0, 0, "", "")
    return hub.ReconciliationDifference(
        name=found.kind.value,
        space=found.space,
        first_number=str(found.first),
        last_number=str(found.last),
        units=str(found.units),
        there_state=there.state,
        there_account=there.account,
        there_reference=there.reference,
        here_state=here.state,
        here_account=here.account,
        hold=bytes.fromhex(here.reference),
        since_ms=found.since_ms,
        action=line.action.value,
        outcome=line.outcome,
        why=found.why,
    )


def tell_certificate(found: Certificate) -> hub.CertificateSummary:
    """A certificate in a few words."""
    return hub.CertificateSummary(
        event=found.event,
        status=found.status,
        registry=found.registry,
        driver=found.driver,
        reference=found.reference,
        grade=found.grade,
        ended=found.ended,
        units=found.units,
        withdrawn_units=found.withdrawn_units,
    )
