"""The operations and what they are made of, as plain immutable values.

Generated from keeling/v1/*.proto by `make proto`; do not edit. Meanings, units and who approves: the .proto files.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class WhenPrecision(IntEnum):
    PRECISION_UNSPECIFIED = 0
    DATE = 1
    INSTANT = 2


class When(NamedTuple):
    ms: int = 0
    precision: int = 0


class Range(NamedTuple):
    batch: str = ""
    first: int = 0
    units: int = 0


class SelectionStrategy(IntEnum):
    STRATEGY_UNSPECIFIED = 0
    WHOLE_LOTS_FIRST = 1
    LOWEST = 2
    OLDEST_ACQUIRED = 3
    REGISTRY = 4


class Selection(NamedTuple):
    ranges: tuple[Range, ...] = ()
    units: int = 0
    strategy: int = 0
    batch: str = ""
    programme: str = ""


class Evidence(NamedTuple):
    digest: bytes = b""
    grade: str = ""
    reference: str = ""


class KeyGrant(NamedTuple):
    key: bytes = b""
    person: str = ""
    purposes: int = 0


class NodeKeys(NamedTuple):
    entry: bytes = b""
    vote: bytes = b""
    log: bytes = b""
    cosigner: bytes = b""


class Contact(NamedTuple):
    address: str = ""
    tls_keys: tuple[bytes, ...] = ()


class Admit(NamedTuple):
    participant: str = ""
    name: str = ""
    roles: tuple[str, ...] = ()
    keys: tuple[KeyGrant, ...] = ()
    validator: bool = False
    node: NodeKeys | None = None
    contact: Contact | None = None


class Suspend(NamedTuple):
    participant: str = ""
    reason: str = ""
    lift: bool = False


class Replace(NamedTuple):
    participant: str = ""
    keys: tuple[KeyGrant, ...] = ()
    node: NodeKeys | None = None
    contact: Contact | None = None


class RotateKey(NamedTuple):
    retire: bytes = b""
    add: KeyGrant | None = None
    node: NodeKeys | None = None
    contact: Contact | None = None


class SetPolicy(NamedTuple):
    policy: bytes = b""


class LevyRounding(IntEnum):
    ROUNDING_UNSPECIFIED = 0
    UP = 1
    DOWN = 2
    HALF_UP = 3


class LevyKind(IntEnum):
    KIND_UNSPECIFIED = 0
    ADAPTATION = 1
    OMGE = 2


class Levy(NamedTuple):
    name: str = ""
    basis_points: int = 0
    account: str = ""
    cancelled: bool = False
    rounding: int = 0
    kind: int = 0
    exempt: tuple[str, ...] = ()


class ProgrammeTransferRule(IntEnum):
    TRANSFER_RULE_UNSPECIFIED = 0
    FREE = 1
    WITHIN_LINK = 2
    EXCHANGE_ONLY = 3
    REGISTRY_ONLY = 4
    NONE = 5


class Programme(NamedTuple):
    registry: str = ""
    native: bool = False
    grain: str = ""
    scheme: str = ""
    transfer_rule: int = 0
    retirable: bool = False
    verifier_needed: bool = False
    levies: tuple[Levy, ...] = ()
    exchanges: tuple[str, ...] = ()
    reversal_window_ms: int = 0
    underlying: str = ""


class RegistryPolicy(NamedTuple):
    scheme: str = ""
    attestors: tuple[str, ...] = ()
    importers: tuple[str, ...] = ()
    capture_grade: str = ""
    attestors_needed: int = 0
    settling_ms: int = 0


class Rule(NamedTuple):
    value: str = ""


class PartyMethod(IntEnum):
    METHOD_UNSPECIFIED = 0
    AVERAGING = 1
    TRAJECTORY = 2
    MULTI_YEAR = 3


class Party(NamedTuple):
    party: str = ""
    alpha2: str = ""
    itmo_registry: str = ""
    authorities: tuple[str, ...] = ()
    participants: tuple[str, ...] = ()
    ndc_first_year: int = 0
    ndc_last_year: int = 0
    method: int = 0


class InitialReport(NamedTuple):
    party: str = ""
    digest: bytes = b""
    reference: str = ""
    submitted: When | None = None


class CooperativeApproachState(IntEnum):
    STATE_UNSPECIFIED = 0
    DRAFT = 1
    ACTIVE = 2
    SUSPENDED = 3
    COMPLETED = 4
    REVOKED = 5


class CooperativeApproach(NamedTuple):
    approach: str = ""
    parties: tuple[str, ...] = ()
    state: int = 0
    initial_reports: tuple[InitialReport, ...] = ()


class SetRecord(NamedTuple):
    id: str = ""
    version: int = 0
    source: str = ""
    effective_from: When | None = None
    effective_to: When | None = None
    body: Programme | RegistryPolicy | Rule | Party | CooperativeApproach | None = None


class ActivateVersion(NamedTuple):
    version: int = 0
    height: int = 0


class Propose(NamedTuple):
    motion: str = ""
    transaction: bytes = b""
    until_ms: int = 0
    because: str = ""


class Approve(NamedTuple):
    motion: str = ""


class ApprovalRule(NamedTuple):
    operations: tuple[int, ...] = ()
    from_units: int = 0
    approvals: int = 0


class AccountPolicy(NamedTuple):
    approvers: tuple[bytes, ...] = ()
    rules: tuple[ApprovalRule, ...] = ()
    delay_ms: int = 0
    incoming_approved: bool = False


class OpenAccount(NamedTuple):
    account: str = ""
    owner: str = ""
    parent: str = ""
    policy: AccountPolicy | None = None


class SetAccountPolicy(NamedTuple):
    account: str = ""
    policy: AccountPolicy | None = None


class CloseAccount(NamedTuple):
    account: str = ""


class LinkControl(IntEnum):
    CONTROL_UNSPECIFIED = 0
    CUSTODY = 1
    BLOCKED = 2
    OWNER = 3


class Link(NamedTuple):
    account: str = ""
    registry: str = ""
    registry_account: str = ""
    hub: str = ""
    control: int = 0
    claims: tuple[Range, ...] = ()
    evidence: Evidence | None = None


class GrantMandate(NamedTuple):
    account: str = ""
    mandate: str = ""
    grantee: str = ""
    operations: tuple[int, ...] = ()
    units_each: int = 0
    units_total: int = 0
    programme: str = ""
    price_min: int = 0
    price_max: int = 0
    currency: str = ""
    until_ms: int = 0


class RevokeMandate(NamedTuple):
    account: str = ""
    mandate: str = ""


class RegisterProject(NamedTuple):
    project: str = ""
    programme: str = ""
    name: str = ""
    host: str = ""


class ObservationStatus(IntEnum):
    STATUS_UNSPECIFIED = 0
    ACTIVE = 1
    ENDED = 2
    RETIRED = 3
    CANCELLED = 4
    BUFFER = 5
    PENDING = 6
    CONVERTED = 7


class Observation(NamedTuple):
    first_number: str = ""
    units: int = 0
    status: int = 0
    effective: When | None = None
    labels: tuple[str, ...] = ()
    issued: When | None = None
    destination: str = ""
    because: str = ""


class LevyTaken(NamedTuple):
    name: str = ""
    units: int = 0


class IssueExtent(IntEnum):
    EXTENT_UNSPECIFIED = 0
    EXACT = 1
    AT_LEAST = 2


class Issue(NamedTuple):
    batch: str = ""
    project: str = ""
    programme: str = ""
    space: str = ""
    first_number: str = ""
    units: int = 0
    extent: int = 0
    account: str = ""
    vintage_start: When | None = None
    vintage_end: When | None = None
    ndc_year: int = 0
    serial_form: str = ""
    evidence: Evidence | None = None
    effective: When | None = None
    observations: tuple[Observation, ...] = ()
    host: str = ""
    levies: tuple[LevyTaken, ...] = ()


class ExtendBatch(NamedTuple):
    batch: str = ""
    observations: tuple[Observation, ...] = ()
    evidence: Evidence | None = None
    run: str = ""
    exact: bool = False
    numbers_assumed: bool = False
    vintage_start: When | None = None
    vintage_end: When | None = None


class Mark(NamedTuple):
    label: str = ""
    ranges: tuple[Range, ...] = ()
    value: str = ""
    evidence: Evidence | None = None


class Unmark(NamedTuple):
    label: str = ""
    ranges: tuple[Range, ...] = ()


class Restrict(NamedTuple):
    restriction: str = ""
    ranges: tuple[Range, ...] = ()
    reason: str = ""
    evidence: Evidence | None = None
    account: str = ""


class Unrestrict(NamedTuple):
    restriction: str = ""
    ranges: tuple[Range, ...] = ()
    reason: str = ""
    evidence: Evidence | None = None


class Notice(NamedTuple):
    notice: str = ""
    kind: str = ""
    ranges: tuple[Range, ...] = ()
    due: When | None = None
    evidence: Evidence | None = None
    close: bool = False


class UnitLeg(NamedTuple):
    from_account: str = ""
    to_account: str = ""
    selection: Selection | None = None


class CashLeg(NamedTuple):
    from_account: str = ""
    to_account: str = ""
    currency: str = ""
    amount: int = 0


class Transfer(NamedTuple):
    units: tuple[UnitLeg, ...] = ()
    cash: tuple[CashLeg, ...] = ()
    settlement_reference: str = ""
    mandate: str = ""
    effective: When | None = None


class PurposefulKind(IntEnum):
    KIND_UNSPECIFIED = 0
    NDC = 1
    OIMP = 2
    COMPLIANCE = 3


class Purposeful(NamedTuple):
    kind: int = 0
    year: int = 0
    scheme: str = ""
    entity: str = ""


class HoldPurpose(IntEnum):
    PURPOSE_UNSPECIFIED = 0
    FOR_TRANSFER = 1
    FOR_RETIREMENT = 2
    FOR_USE = 3
    FOR_CANCELLATION = 4


class Hold(NamedTuple):
    hold: bytes = b""
    account: str = ""
    selection: Selection | None = None
    purpose: int = 0
    expires_ms: int = 0
    to_account: str = ""
    beneficiary: bytes = b""
    buyer: str = ""
    mandate: str = ""
    use: Purposeful | None = None


class Dispatch(NamedTuple):
    hold: bytes = b""
    attempt: int = 0
    instruction: bytes = b""
    lookup: bytes = b""


class Capture(NamedTuple):
    hold: bytes = b""
    ranges: tuple[Range, ...] = ()
    evidence: Evidence | None = None
    effective: When | None = None


class Release(NamedTuple):
    hold: bytes = b""
    units: int = 0
    reason: str = ""
    evidence: Evidence | None = None


class Retire(NamedTuple):
    account: str = ""
    selection: Selection | None = None
    beneficiary: bytes = b""
    reason: str = ""
    effective: When | None = None


class Use(NamedTuple):
    account: str = ""
    selection: Selection | None = None
    use: Purposeful | None = None
    effective: When | None = None


class CancelKind(IntEnum):
    KIND_UNSPECIFIED = 0
    VOLUNTARY = 1
    OMGE = 2
    ADMINISTRATIVE = 3
    REVERSAL = 4
    OTHER = 5


class Cancel(NamedTuple):
    account: str = ""
    selection: Selection | None = None
    kind: int = 0
    reason: str = ""
    effective: When | None = None


class TwinForm(IntEnum):
    FORM_UNSPECIFIED = 0
    WRAP = 1
    CONVERT = 2
    UNWRAP = 3


class Twin(NamedTuple):
    ours: Range | None = None
    theirs: Range | None = None
    evidence: Evidence | None = None
    form: int = 0
    their_evidence: Evidence | None = None
    destination: str = ""
    identifier: str = ""
    effective: When | None = None
    proposal: str = ""


class BufferAction(IntEnum):
    ACTION_UNSPECIFIED = 0
    DEPOSIT = 1
    WITHDRAW = 2
    COMPENSATE = 3


class Buffer(NamedTuple):
    action: int = 0
    account: str = ""
    selection: Selection | None = None
    evidence: Evidence | None = None


class Reverse(NamedTuple):
    height: int = 0
    ordinal: int = 0
    ranges: tuple[Range, ...] = ()
    reason: str = ""
    evidence: Evidence | None = None
    effective: When | None = None


class AuthorizedEntity(NamedTuple):
    participant: str = ""
    name: str = ""
    country: str = ""
    identification: str = ""
    conditions: str = ""
    change_conditions: str = ""
    notes: str = ""


class AuthorizationTermsPurpose(IntEnum):
    PURPOSE_UNSPECIFIED = 0
    NDC = 1
    OIMP = 2
    IMP = 3
    OP = 4
    NDC_AND_OIMP = 5
    NDC_AND_IMP = 6
    NDC_AND_OP = 7


class AuthorizationTermsFirstTransfer(IntEnum):
    FIRST_TRANSFER_UNSPECIFIED = 0
    INTERNATIONAL_TRANSFER = 1
    AUTHORIZATION = 2
    ISSUANCE = 3
    USE_OR_CANCELLATION = 4


class AuthorizationTerms(NamedTuple):
    batches: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    programmes: tuple[str, ...] = ()
    vintage_from: int = 0
    vintage_to: int = 0
    purpose: int = 0
    first_transfer: int = 0
    cap: int = 0
    first_year: int = 0
    last_year: int = 0
    parties: tuple[str, ...] = ()
    entities: tuple[AuthorizedEntity, ...] = ()
    conditional: bool = False
    conditions: str = ""
    oimp: str = ""
    non_ghg_metric: str = ""
    gwp: str = ""
    sectors: tuple[str, ...] = ()
    activity_types: tuple[str, ...] = ()
    mitigation_type: str = ""
    notes: str = ""


class Authorize(NamedTuple):
    authorization: str = ""
    party: str = ""
    approach: str = ""
    terms: AuthorizationTerms | None = None
    date: When | None = None
    evidence: Evidence | None = None


class AmendAuthorization(NamedTuple):
    authorization: str = ""
    version: int = 0
    terms: AuthorizationTerms | None = None
    date: When | None = None
    evidence: Evidence | None = None


class RevokeAuthorization(NamedTuple):
    authorization: str = ""
    reason: str = ""
    date: When | None = None
    due: When | None = None
    evidence: Evidence | None = None


class Recognise(NamedTuple):
    authorization: str = ""
    height: int = 0
    ordinal: int = 0
    party: str = ""
    at: When | None = None
    evidence: Evidence | None = None


class ReportAdjustmentStep(IntEnum):
    STEP_UNSPECIFIED = 0
    REPORTED = 1
    CONSISTENT = 2
    INCONSISTENT = 3
    IN_BTR = 4


class ReportAdjustment(NamedTuple):
    party: str = ""
    reported_year: int = 0
    version: str = ""
    step: int = 0
    adjustments: tuple[str, ...] = ()
    date: When | None = None
    evidence: Evidence | None = None


class FinaliseAdjustment(NamedTuple):
    party: str = ""
    first_year: int = 0
    last_year: int = 0
    evidence: Evidence | None = None


class Attest(NamedTuple):
    registry: str = ""
    attestation: str = ""
    range: Range | None = None
    status: int = 0
    evidence: Evidence | None = None
    effective: When | None = None


class LinkStateState(IntEnum):
    STATE_UNSPECIFIED = 0
    NORMAL = 1
    SUSPENDED = 2
    MAINTENANCE = 3
    RECONCILING = 4


class LinkState(NamedTuple):
    account: str = ""
    registry: str = ""
    state: int = 0
    from_ms: int = 0
    until_ms: int = 0
    reason: str = ""


class Anchor(NamedTuple):
    kind: str = ""
    name: str = ""
    digest: bytes = b""


class IssueCash(NamedTuple):
    account: str = ""
    currency: str = ""
    amount: int = 0
    scale: int = 0


class RedeemCash(NamedTuple):
    account: str = ""
    currency: str = ""
    amount: int = 0


class AttestState(NamedTuple):
    height: int = 0
    digest: bytes = b""


class Ready(NamedTuple):
    participant: str = ""
    height: int = 0
    entry: bytes = b""
    vote: bytes = b""
    log: bytes = b""
    cosigner: bytes = b""


AnyOperation = (
    Admit
    | Suspend
    | Replace
    | RotateKey
    | SetPolicy
    | SetRecord
    | ActivateVersion
    | Propose
    | Approve
    | OpenAccount
    | SetAccountPolicy
    | CloseAccount
    | Link
    | GrantMandate
    | RevokeMandate
    | RegisterProject
    | Issue
    | ExtendBatch
    | Mark
    | Unmark
    | Restrict
    | Unrestrict
    | Notice
    | Transfer
    | Hold
    | Dispatch
    | Capture
    | Release
    | Retire
    | Use
    | Cancel
    | Twin
    | Buffer
    | Reverse
    | Authorize
    | AmendAuthorization
    | RevokeAuthorization
    | Recognise
    | ReportAdjustment
    | FinaliseAdjustment
    | Attest
    | LinkState
    | Anchor
    | IssueCash
    | RedeemCash
    | AttestState
    | Ready
)


class Transaction(NamedTuple):
    id: bytes
    participant: str
    not_after_ms: int
    operations: tuple[AnyOperation | None, ...]


NUMBERS: Final[dict[type, int]] = {
    Admit: 1,
    Suspend: 2,
    Replace: 3,
    RotateKey: 4,
    SetPolicy: 5,
    SetRecord: 6,
    ActivateVersion: 7,
    Propose: 8,
    Approve: 9,
    OpenAccount: 10,
    SetAccountPolicy: 11,
    CloseAccount: 12,
    Link: 13,
    GrantMandate: 14,
    RevokeMandate: 15,
    RegisterProject: 20,
    Issue: 21,
    ExtendBatch: 22,
    Mark: 30,
    Unmark: 31,
    Restrict: 32,
    Unrestrict: 33,
    Notice: 34,
    Transfer: 40,
    Hold: 41,
    Dispatch: 42,
    Capture: 43,
    Release: 44,
    Retire: 50,
    Use: 51,
    Cancel: 52,
    Twin: 53,
    Buffer: 54,
    Reverse: 55,
    Authorize: 60,
    AmendAuthorization: 61,
    RevokeAuthorization: 62,
    Recognise: 63,
    ReportAdjustment: 64,
    FinaliseAdjustment: 65,
    Attest: 70,
    LinkState: 71,
    Anchor: 72,
    IssueCash: 80,
    RedeemCash: 81,
    AttestState: 90,
    Ready: 91,
}
"""The number of each operation: its field number in `Operation`."""
