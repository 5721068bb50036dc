"""From protobuf messages to the plain values of `keeling.operations`.

Generated from keeling/v1/*.proto by `make proto`; do not edit. Meanings, units and who approves: the .proto files.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from keeling import operations as o

_T = TypeVar("_T")
_new: Final[Callable[[type[_T], tuple[Any, ...]], _T]] = tuple.__new__  # type: ignore[assignment]
"""Half the price of calling a NamedTuple, which only sorts arguments that are in order here."""


def _body(m: Any, bodies: dict[str, Callable[[Any], Any]]) -> Any:
    name = m.WhichOneof("body")
    return bodies[name](getattr(m, name)) if name else None


def _when(m: Any) -> o.When:
    return _new(o.When, (m.ms, m.precision))


def _range(m: Any) -> o.Range:
    return _new(o.Range, (m.batch, m.first, m.units))


def _selection(m: Any) -> o.Selection:
    return _new(
        o.Selection,
        (tuple([_range(x) for x in found]) if (found := m.ranges) else (), m.units, m.strategy, m.batch, m.programme),
    )


def _evidence(m: Any) -> o.Evidence:
    return _new(o.Evidence, (m.digest, m.grade, m.reference))


def _key_grant(m: Any) -> o.KeyGrant:
    return _new(o.KeyGrant, (m.key, m.person, m.purposes))


def _node_keys(m: Any) -> o.NodeKeys:
    return _new(o.NodeKeys, (m.entry, m.vote, m.log, m.cosigner))


def _contact(m: Any) -> o.Contact:
    return _new(o.Contact, (m.address, tuple(m.tls_keys)))


def _admit(m: Any) -> o.Admit:
    return _new(
        o.Admit,
        (
            m.participant,
            m.name,
            tuple(m.roles),
            tuple([_key_grant(x) for x in found]) if (found := m.keys) else (),
            m.validator,
            _node_keys(m.node) if m.HasField("node") else None,
            _contact(m.contact) if m.HasField("contact") else None,
        ),
    )


def _suspend(m: Any) -> o.Suspend:
    return _new(o.Suspend, (m.participant, m.reason, m.lift))


def _replace(m: Any) -> o.Replace:
    return _new(
        o.Replace,
        (
            m.participant,
            tuple([_key_grant(x) for x in found]) if (found := m.keys) else (),
            _node_keys(m.node) if m.HasField("node") else None,
            _contact(m.contact) if m.HasField("contact") else None,
        ),
    )


def _rotate_key(m: Any) -> o.RotateKey:
    return _new(
        o.RotateKey,
        (
            m.retire,
            _key_grant(m.add) if m.HasField("add") else None,
            _node_keys(m.node) if m.HasField("node") else None,
            _contact(m.contact) if m.HasField("contact") else None,
        ),
    )


def _set_policy(m: Any) -> o.SetPolicy:
    return _new(o.SetPolicy, (m.policy,))


def _levy(m: Any) -> o.Levy:
    return _new(o.Levy, (m.name, m.basis_points, m.account, m.cancelled, m.rounding, m.kind, tuple(m.exempt)))


def _programme(m: Any) -> o.Programme:
    return _new(
        o.Programme,
        (
            m.registry,
            m.native,
            m.grain,
            m.scheme,
            m.transfer_rule,
            m.retirable,
            m.verifier_needed,
            tuple([_levy(x) for x in found]) if (found := m.levies) else (),
            tuple(m.exchanges),
            m.reversal_window_ms,
            m.underlying,
        ),
    )


def _registry_policy(m: Any) -> o.RegistryPolicy:
    return _new(
        o.RegistryPolicy,
        (m.scheme, tuple(m.attestors), tuple(m.importers), m.capture_grade, m.attestors_needed, m.settling_ms),
    )


def _rule(m: Any) -> o.Rule:
    return _new(o.Rule, (m.value,))


def _party(m: Any) -> o.Party:
    return _new(
        o.Party,
        (
            m.party,
            m.alpha2,
            m.itmo_registry,
            tuple(m.authorities),
            tuple(m.participants),
            m.ndc_first_year,
            m.ndc_last_year,
            m.method,
        ),
    )


def _initial_report(m: Any) -> o.InitialReport:
    return _new(
        o.InitialReport, (m.party, m.digest, m.reference, _when(m.submitted) if m.HasField("submitted") else None)
    )


def _cooperative_approach(m: Any) -> o.CooperativeApproach:
    return _new(
        o.CooperativeApproach,
        (
            m.approach,
            tuple(m.parties),
            m.state,
            tuple([_initial_report(x) for x in found]) if (found := m.initial_reports) else (),
        ),
    )


def _set_record(m: Any) -> o.SetRecord:
    return _new(
        o.SetRecord,
        (
            m.id,
            m.version,
            m.source,
            _when(m.effective_from) if m.HasField("effective_from") else None,
            _when(m.effective_to) if m.HasField("effective_to") else None,
            _body(
                m,
                {
                    "programme": _programme,
                    "registry": _registry_policy,
                    "rule": _rule,
                    "party": _party,
                    "approach": _cooperative_approach,
                },
            ),
        ),
    )


def _activate_version(m: Any) -> o.ActivateVersion:
    return _new(o.ActivateVersion, (m.version, m.height))


def _propose(m: Any) -> o.Propose:
    return _new(o.Propose, (m.motion, m.transaction, m.until_ms, m.because))


def _approve(m: Any) -> o.Approve:
    return _new(o.Approve, (m.motion,))


def _approval_rule(m: Any) -> o.ApprovalRule:
    return _new(o.ApprovalRule, (tuple(m.operations), m.from_units, m.approvals))


def _account_policy(m: Any) -> o.AccountPolicy:
    return _new(
        o.AccountPolicy,
        (
            tuple(m.approvers),
            tuple([_approval_rule(x) for x in found]) if (found := m.rules) else (),
            m.delay_ms,
            m.incoming_approved,
        ),
    )


def _open_account(m: Any) -> o.OpenAccount:
    return _new(
        o.OpenAccount, (m.account, m.owner, m.parent, _account_policy(m.policy) if m.HasField("policy") else None)
    )


def _set_account_policy(m: Any) -> o.SetAccountPolicy:
    return _new(o.SetAccountPolicy, (m.account, _account_policy(m.policy) if m.HasField("policy") else None))


def _close_account(m: Any) -> o.CloseAccount:
    return _new(o.CloseAccount, (m.account,))


def _link(m: Any) -> o.Link:
    return _new(
        o.Link,
        (
            m.account,
            m.registry,
            m.registry_account,
            m.hub,
            m.control,
            tuple([_range(x) for x in found]) if (found := m.claims) else (),
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _grant_mandate(m: Any) -> o.GrantMandate:
    return _new(
        o.GrantMandate,
        (
            m.account,
            m.mandate,
            m.grantee,
            tuple(m.operations),
            m.units_each,
            m.units_total,
            m.programme,
            m.price_min,
            m.price_max,
            m.currency,
            m.until_ms,
        ),
    )


def _revoke_mandate(m: Any) -> o.RevokeMandate:
    return _new(o.RevokeMandate, (m.account, m.mandate))


def _register_project(m: Any) -> o.RegisterProject:
    return _new(o.RegisterProject, (m.project, m.programme, m.name, m.host))


def _observation(m: Any) -> o.Observation:
    return _new(
        o.Observation,
        (
            m.first_number,
            m.units,
            m.status,
            _when(m.effective) if m.HasField("effective") else None,
            tuple(m.labels),
            _when(m.issued) if m.HasField("issued") else None,
            m.destination,
            m.because,
        ),
    )


def _levy_taken(m: Any) -> o.LevyTaken:
    return _new(o.LevyTaken, (m.name, m.units))


def _issue(m: Any) -> o.Issue:
    return _new(
        o.Issue,
        (
            m.batch,
            m.project,
            m.programme,
            m.space,
            m.first_number,
            m.units,
            m.extent,
            m.account,
            _when(m.vintage_start) if m.HasField("vintage_start") else None,
            _when(m.vintage_end) if m.HasField("vintage_end") else None,
            m.ndc_year,
            m.serial_form,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            _when(m.effective) if m.HasField("effective") else None,
            tuple([_observation(x) for x in found]) if (found := m.observations) else (),
            m.host,
            tuple([_levy_taken(x) for x in found]) if (found := m.levies) else (),
        ),
    )


def _extend_batch(m: Any) -> o.ExtendBatch:
    return _new(
        o.ExtendBatch,
        (
            m.batch,
            tuple([_observation(x) for x in found]) if (found := m.observations) else (),
            _evidence(m.evidence) if m.HasField("evidence") else None,
            m.run,
            m.exact,
            m.numbers_assumed,
            _when(m.vintage_start) if m.HasField("vintage_start") else None,
            _when(m.vintage_end) if m.HasField("vintage_end") else None,
        ),
    )


def _mark(m: Any) -> o.Mark:
    return _new(
        o.Mark,
        (
            m.label,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            m.value,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _unmark(m: Any) -> o.Unmark:
    return _new(o.Unmark, (m.label, tuple([_range(x) for x in found]) if (found := m.ranges) else ()))


def _restrict(m: Any) -> o.Restrict:
    return _new(
        o.Restrict,
        (
            m.restriction,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            m.reason,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            m.account,
        ),
    )


def _unrestrict(m: Any) -> o.Unrestrict:
    return _new(
        o.Unrestrict,
        (
            m.restriction,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            m.reason,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _notice(m: Any) -> o.Notice:
    return _new(
        o.Notice,
        (
            m.notice,
            m.kind,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            _when(m.due) if m.HasField("due") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            m.close,
        ),
    )


def _unit_leg(m: Any) -> o.UnitLeg:
    return _new(o.UnitLeg, (m.from_account, m.to_account, _selection(m.selection) if m.HasField("selection") else None))


def _cash_leg(m: Any) -> o.CashLeg:
    return _new(o.CashLeg, (m.from_account, m.to_account, m.currency, m.amount))


def _transfer(m: Any) -> o.Transfer:
    return _new(
        o.Transfer,
        (
            tuple([_unit_leg(x) for x in found]) if (found := m.units) else (),
            tuple([_cash_leg(x) for x in found]) if (found := m.cash) else (),
            m.settlement_reference,
            m.mandate,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _purposeful(m: Any) -> o.Purposeful:
    return _new(o.Purposeful, (m.kind, m.year, m.scheme, m.entity))


def _hold(m: Any) -> o.Hold:
    return _new(
        o.Hold,
        (
            m.hold,
            m.account,
            _selection(m.selection) if m.HasField("selection") else None,
            m.purpose,
            m.expires_ms,
            m.to_account,
            m.beneficiary,
            m.buyer,
            m.mandate,
            _purposeful(m.use) if m.HasField("use") else None,
        ),
    )


def _dispatch(m: Any) -> o.Dispatch:
    return _new(o.Dispatch, (m.hold, m.attempt, m.instruction, m.lookup))


def _capture(m: Any) -> o.Capture:
    return _new(
        o.Capture,
        (
            m.hold,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            _evidence(m.evidence) if m.HasField("evidence") else None,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _release(m: Any) -> o.Release:
    return _new(o.Release, (m.hold, m.units, m.reason, _evidence(m.evidence) if m.HasField("evidence") else None))


def _retire(m: Any) -> o.Retire:
    return _new(
        o.Retire,
        (
            m.account,
            _selection(m.selection) if m.HasField("selection") else None,
            m.beneficiary,
            m.reason,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _use(m: Any) -> o.Use:
    return _new(
        o.Use,
        (
            m.account,
            _selection(m.selection) if m.HasField("selection") else None,
            _purposeful(m.use) if m.HasField("use") else None,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _cancel(m: Any) -> o.Cancel:
    return _new(
        o.Cancel,
        (
            m.account,
            _selection(m.selection) if m.HasField("selection") else None,
            m.kind,
            m.reason,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _twin(m: Any) -> o.Twin:
    return _new(
        o.Twin,
        (
            _range(m.ours) if m.HasField("ours") else None,
            _range(m.theirs) if m.HasField("theirs") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            m.form,
            _evidence(m.their_evidence) if m.HasField("their_evidence") else None,
            m.destination,
            m.identifier,
            _when(m.effective) if m.HasField("effective") else None,
            m.proposal,
        ),
    )


def _buffer(m: Any) -> o.Buffer:
    return _new(
        o.Buffer,
        (
            m.action,
            m.account,
            _selection(m.selection) if m.HasField("selection") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _reverse(m: Any) -> o.Reverse:
    return _new(
        o.Reverse,
        (
            m.height,
            m.ordinal,
            tuple([_range(x) for x in found]) if (found := m.ranges) else (),
            m.reason,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _authorized_entity(m: Any) -> o.AuthorizedEntity:
    return _new(
        o.AuthorizedEntity,
        (m.participant, m.name, m.country, m.identification, m.conditions, m.change_conditions, m.notes),
    )


def _authorization_terms(m: Any) -> o.AuthorizationTerms:
    return _new(
        o.AuthorizationTerms,
        (
            tuple(m.batches),
            tuple(m.projects),
            tuple(m.programmes),
            m.vintage_from,
            m.vintage_to,
            m.purpose,
            m.first_transfer,
            m.cap,
            m.first_year,
            m.last_year,
            tuple(m.parties),
            tuple([_authorized_entity(x) for x in found]) if (found := m.entities) else (),
            m.conditional,
            m.conditions,
            m.oimp,
            m.non_ghg_metric,
            m.gwp,
            tuple(m.sectors),
            tuple(m.activity_types),
            m.mitigation_type,
            m.notes,
        ),
    )


def _authorize(m: Any) -> o.Authorize:
    return _new(
        o.Authorize,
        (
            m.authorization,
            m.party,
            m.approach,
            _authorization_terms(m.terms) if m.HasField("terms") else None,
            _when(m.date) if m.HasField("date") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _amend_authorization(m: Any) -> o.AmendAuthorization:
    return _new(
        o.AmendAuthorization,
        (
            m.authorization,
            m.version,
            _authorization_terms(m.terms) if m.HasField("terms") else None,
            _when(m.date) if m.HasField("date") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _revoke_authorization(m: Any) -> o.RevokeAuthorization:
    return _new(
        o.RevokeAuthorization,
        (
            m.authorization,
            m.reason,
            _when(m.date) if m.HasField("date") else None,
            _when(m.due) if m.HasField("due") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _recognise(m: Any) -> o.Recognise:
    return _new(
        o.Recognise,
        (
            m.authorization,
            m.height,
            m.ordinal,
            m.party,
            _when(m.at) if m.HasField("at") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _report_adjustment(m: Any) -> o.ReportAdjustment:
    return _new(
        o.ReportAdjustment,
        (
            m.party,
            m.reported_year,
            m.version,
            m.step,
            tuple(m.adjustments),
            _when(m.date) if m.HasField("date") else None,
            _evidence(m.evidence) if m.HasField("evidence") else None,
        ),
    )


def _finalise_adjustment(m: Any) -> o.FinaliseAdjustment:
    return _new(
        o.FinaliseAdjustment,
        (m.party, m.first_year, m.last_year, _evidence(m.evidence) if m.HasField("evidence") else None),
    )


def _attest(m: Any) -> o.Attest:
    return _new(
        o.Attest,
        (
            m.registry,
            m.attestation,
            _range(m.range) if m.HasField("range") else None,
            m.status,
            _evidence(m.evidence) if m.HasField("evidence") else None,
            _when(m.effective) if m.HasField("effective") else None,
        ),
    )


def _link_state(m: Any) -> o.LinkState:
    return _new(o.LinkState, (m.account, m.registry, m.state, m.from_ms, m.until_ms, m.reason))


def _anchor(m: Any) -> o.Anchor:
    return _new(o.Anchor, (m.kind, m.name, m.digest))


def _issue_cash(m: Any) -> o.IssueCash:
    return _new(o.IssueCash, (m.account, m.currency, m.amount, m.scale))


def _redeem_cash(m: Any) -> o.RedeemCash:
    return _new(o.RedeemCash, (m.account, m.currency, m.amount))


def _attest_state(m: Any) -> o.AttestState:
    return _new(o.AttestState, (m.height, m.digest))


def _ready(m: Any) -> o.Ready:
    return _new(o.Ready, (m.participant, m.height, m.entry, m.vote, m.log, m.cosigner))


_OPERATIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "admit": _admit,
    "suspend": _suspend,
    "replace": _replace,
    "rotate_key": _rotate_key,
    "set_policy": _set_policy,
    "set_record": _set_record,
    "activate_version": _activate_version,
    "propose": _propose,
    "approve": _approve,
    "open_account": _open_account,
    "set_account_policy": _set_account_policy,
    "close_account": _close_account,
    "link": _link,
    "grant_mandate": _grant_mandate,
    "revoke_mandate": _revoke_mandate,
    "register_project": _register_project,
    "issue": _issue,
    "extend_batch": _extend_batch,
    "mark": _mark,
    "unmark": _unmark,
    "restrict": _restrict,
    "unrestrict": _unrestrict,
    "notice": _notice,
    "transfer": _transfer,
    "hold": _hold,
    "dispatch": _dispatch,
    "capture": _capture,
    "release": _release,
    "retire": _retire,
    "use": _use,
    "cancel": _cancel,
    "twin": _twin,
    "buffer": _buffer,
    "reverse": _reverse,
    "authorize": _authorize,
    "amend_authorization": _amend_authorization,
    "revoke_authorization": _revoke_authorization,
    "recognise": _recognise,
    "report_adjustment": _report_adjustment,
    "finalise_adjustment": _finalise_adjustment,
    "attest": _attest,
    "link_state": _link_state,
    "anchor": _anchor,
    "issue_cash": _issue_cash,
    "redeem_cash": _redeem_cash,
    "attest_state": _attest_state,
    "ready": _ready,
}


def decode_operation(m: Any) -> o.AnyOperation | None:
    """The plain value of an `Operation` message; None when it names no operation."""
    name = m.WhichOneof("operation")
    return _OPERATIONS[name](getattr(m, name)) if name else None


def decode_transaction(m: Any) -> o.Transaction:
    """The plain value of a `Transaction` message."""
    return _new(
        o.Transaction, (m.id, m.participant, m.not_after_ms, tuple([decode_operation(x) for x in m.operations]))
    )
