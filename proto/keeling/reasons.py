"""Every reason a request can be refused for: a stable number and a name, and which of them bind an id.

Numbers are never reused and appear on the ledger, in `google.rpc.ErrorInfo` and in docs/reasons.md; what each says to
people is in `keeling.meanings`. The order of the groups is the precedence of the checks (design, units and rules §6): a
transaction that breaks several rules is refused for the first. The last group says why a read has no answer, and is
never on the ledger. Which rule was broken is decided in `node.core`; only the vocabulary is here.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final


@unique
class Reason(IntEnum):
    """0 is accepted; everything else is a refusal."""

    ACCEPTED = 0

    # Envelope and authentication: never pin an id.
    MALFORMED = 100
    UNSUPPORTED_FORMAT = 101
    FOREIGN_NETWORK = 102
    TOO_LARGE = 103
    TOO_MANY_TRANSACTIONS = 104
    UNKNOWN_KEY = 105
    BAD_SIGNATURE = 106
    KEY_NOT_ACTIVE = 107
    PARTICIPANT_SUSPENDED = 108
    NOT_THE_SUBMITTER = 109
    BAD_APPROVAL = 110
    TOO_MANY_APPROVALS = 111

    # Id.
    ID_OUT_OF_WINDOW = 200
    ID_NOT_UUID7 = 201
    ID_USED_WITH_OTHER_CONTENT = 202
    DUPLICATE = 203
    EXPIRED = 204

    # Static fields: wrong whatever the state is.
    NO_OPERATIONS = 300
    TOO_MANY_OPERATIONS = 301
    MISSING_FIELD = 302
    BAD_FIELD = 303
    UNITS_MUST_BE_POSITIVE = 304
    AMOUNT_MUST_BE_POSITIVE = 305
    ACCOUNTS_MUST_DIFFER = 306
    RANGES_OVERLAP = 307
    TOO_MANY_RANGES = 308
    POLICY_LOCKS_OUT = 310

    # Existence.
    PARTICIPANT_NOT_FOUND = 400
    PARTICIPANT_EXISTS = 401
    ACCOUNT_NOT_FOUND = 402
    ACCOUNT_EXISTS = 403
    BATCH_NOT_FOUND = 404
    BATCH_EXISTS = 405
    PROJECT_NOT_FOUND = 406
    PROJECT_EXISTS = 407
    PROGRAMME_NOT_FOUND = 408
    REGISTRY_NOT_FOUND = 409
    HOLD_NOT_FOUND = 410
    HOLD_EXISTS = 411
    MANDATE_NOT_FOUND = 412
    MANDATE_EXISTS = 413
    KEY_EXISTS = 414
    RECORD_VERSION_NOT_NEXT = 415
    EVENT_NOT_FOUND = 416
    RESTRICTION_NOT_FOUND = 417
    NOTICE_NOT_FOUND = 418
    CURRENCY_MISMATCH = 419
    ACCOUNT_CLOSED = 420
    RECORD_NOT_IN_FORCE = 421
    TWIN_NOT_FOUND = 430
    AUTHORIZATION_NOT_FOUND = 440
    AUTHORIZATION_EXISTS = 441
    AUTHORIZATION_VERSION_NOT_NEXT = 442
    APPROACH_NOT_FOUND = 443
    PARTY_NOT_FOUND = 444
    ACTION_NOT_FOUND = 445
    ADJUSTMENT_NOT_FOUND = 446
    MOTION_NOT_FOUND = 450
    MOTION_EXISTS = 451
    VALIDATOR_NOT_FOUND = 452

    # Authority and approvals. NEEDS_APPROVAL and SAME_PERSON do not pin: the same transaction may come with more.
    NOT_PERMITTED = 500
    NEEDS_APPROVAL = 501
    SAME_PERSON = 502
    OUTSIDE_MANDATE = 503
    ATTESTOR_IS_PARTY = 504
    GRADE_TOO_WEAK = 505
    NEEDS_VERIFIER = 506
    NEEDS_TWO_OPERATORS = 507

    # State and restrictions.
    ACCOUNT_NOT_EMPTY = 601
    UNITS_NOT_OWNED = 602
    UNITS_HELD = 603
    UNITS_INSTRUCTED = 604
    UNITS_ENDED = 605
    UNITS_RESTRICTED = 606
    UNITS_NOT_FREE = 607
    UNITS_UNSEEN = 608
    HOLD_ENDED = 609
    HOLD_EXPIRED = 610
    HOLD_INSTRUCTED = 611
    HOLD_NOT_INSTRUCTED = 612
    ATTEMPT_TAKEN = 613
    NOT_SETTLED_YET = 614
    NEEDS_REGISTRY_CONFIRMATION = 615
    NO_LINK = 616
    LINK_SUSPENDED = 617
    LINK_EXISTS = 618
    CLAIM_CONTESTED = 619
    ALREADY_REVERSED = 620
    NOT_REVERSIBLE = 621
    OUTSIDE_REVERSAL_WINDOW = 622
    DISCREPANCY = 623
    INCOMING_NOT_APPROVED = 624
    TWIN_EXISTS = 625
    APPROACH_NOT_ACTIVE = 640
    INITIAL_REPORT_MISSING = 641
    APPROACH_STEP_OUT_OF_ORDER = 642
    PARTICIPANT_STAYS_IN_PARTY = 643
    METHOD_IS_FIXED = 644
    AUTHORIZATION_REVOKED = 645
    ALREADY_RECOGNISED = 646
    REPORT_STEP_OUT_OF_ORDER = 647
    YEAR_IS_FINAL = 648
    ELECTORATE_LOCKED_OUT = 660
    TOO_MANY_VALIDATORS = 661
    VALIDATOR_NOT_READY = 662
    READY_HEIGHT_WRONG = 663
    KEY_NOT_PROVED = 664
    POLICY_UNCHANGED = 665
    POLICY_NOT_POSSIBLE = 666
    SUSPENDED_ALREADY = 667
    NOT_SUSPENDED = 668
    MOTION_EXPIRED = 669
    MOTION_DECIDED = 670
    APPROVED_ALREADY = 671
    TOO_MANY_MOTIONS = 672
    VERSION_NOT_NEXT = 673
    HEIGHT_HAS_PASSED = 674
    ATTESTATION_NOT_DUE = 675
    ATTESTED_ALREADY = 676

    # Quantities.
    INSUFFICIENT_UNITS = 700
    INSUFFICIENT_CASH = 701
    TOO_MANY_LOTS = 702
    MIXED_GRAINS = 703
    SERIALS_OVERLAP = 704
    OUTSIDE_EXTENT = 705
    CAPTURE_EXCEEDS_HOLD = 706
    LEVY_EXCEEDS_ISSUANCE = 707
    AMOUNT_OVERFLOWS = 708
    LEVIES_DISAGREE = 720
    CAP_TOO_LOW = 721
    TOO_MANY_BATCHES = 722
    BLOCK_IS_FULL = 723

    # Programme and Article 6 rules.
    EXCHANGE_ONLY = 800
    REGISTRY_ONLY = 801
    NOT_TRANSFERABLE = 802
    NOT_RETIRABLE = 803
    OUTSIDE_PRICE_BAND = 804
    PARTY_UNKNOWN = 820
    PARTY_NOT_AUTHORIZED = 821
    ENTITY_NOT_AUTHORIZED = 822
    NOT_AUTHORIZED = 823
    PURPOSE_NOT_AUTHORIZED = 824
    OUTSIDE_TIME_FRAME = 825
    AUTHORIZATION_CONDITIONAL = 826
    VINTAGE_YEAR_UNKNOWN = 827
    NOT_IN_SCOPE = 828

    # Reads only.
    TRANSACTION_NOT_FOUND = 900
    SERIALS_NOT_FOUND = 901
    BAD_PAGE_TOKEN = 902
    BEYOND_FINAL = 903
    NOT_KEPT = 904


_NEVER_PINNED: Final = frozenset(
    {Reason.ID_OUT_OF_WINDOW, Reason.ID_NOT_UUID7, Reason.DUPLICATE, Reason.ID_USED_WITH_OTHER_CONTENT}
    | {Reason.NEEDS_APPROVAL, Reason.SAME_PERSON, Reason.NEEDS_VERIFIER, Reason.NEEDS_TWO_OPERATORS}
    | {Reason.INCOMING_NOT_APPROVED, Reason.NOT_PERMITTED, Reason.ATTESTOR_IS_PARTY, Reason.BLOCK_IS_FULL}
)
"""Nothing was decided now, or the same transaction may come again: with more approvals, or in another block."""


def pins(reason: Reason) -> bool:
    """Whether a result with this reason binds the transaction's id for ever (guarantee G5)."""
    return reason == Reason.ACCEPTED or (200 <= reason < 900 and reason not in _NEVER_PINNED)
