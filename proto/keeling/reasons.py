"""Every reason a request can be refused for: a stable number, a name, what it means, and what to do about it.

Numbers are never reused and appear on the ledger, in `google.rpc.ErrorInfo` and in docs/reasons.md. The order of the
groups is the precedence of the checks (design, units and rules §6): a transaction that breaks several rules is refused
for the first. Which rule was broken is decided in `node.core`; only the vocabulary is here.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import Final, NamedTuple


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
    NOT_YET_SUPPORTED = 309
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


class Meaning(NamedTuple):
    """What a reason says to a person, and what they can do about it."""

    text: str
    advice: str


MEANINGS: Final[dict[Reason, Meaning]] = {
    Reason.ACCEPTED: Meaning("done", ""),
    Reason.MALFORMED: Meaning(
        "the bytes are not a canonical message", "build the message with a current keeling; send its bytes unchanged"
    ),
    Reason.UNSUPPORTED_FORMAT: Meaning("the format version is not known here", "use the version the node reports"),
    Reason.FOREIGN_NETWORK: Meaning("signed for another network", "check the genesis file you sign with"),
    Reason.TOO_LARGE: Meaning("larger than the limit", "split it; the node reports its limits"),
    Reason.TOO_MANY_TRANSACTIONS: Meaning("more transactions than one submission may carry", "send 500 at most"),
    Reason.UNKNOWN_KEY: Meaning("the key is not on this ledger", "have your participant's administrator add it"),
    Reason.BAD_SIGNATURE: Meaning("the signature does not verify", "sign the exact bytes again"),
    Reason.KEY_NOT_ACTIVE: Meaning("the key was retired or may not do this", "use an active key with that purpose"),
    Reason.PARTICIPANT_SUSPENDED: Meaning("the participant is suspended", "ask the electorate"),
    Reason.NOT_THE_SUBMITTER: Meaning(
        "the transaction names another participant than the key's", "only the named participant can hand it in"
    ),
    Reason.BAD_APPROVAL: Meaning("an approval does not verify", "have that person sign the exact bytes again"),
    Reason.TOO_MANY_APPROVALS: Meaning("more than 16 approvals", "send only those that are needed"),
    Reason.ID_OUT_OF_WINDOW: Meaning(
        "the id's time is more than 35 days from ledger time", "nothing was done; take a fresh id"
    ),
    Reason.ID_NOT_UUID7: Meaning("the id is not a UUIDv7", "let keeling make the id"),
    Reason.ID_USED_WITH_OTHER_CONTENT: Meaning(
        "this id already belongs to another content", "ask for the first one: keeling tx get ID; use a new id"
    ),
    Reason.DUPLICATE: Meaning("this id and content were decided before", "the first receipt is returned again"),
    Reason.EXPIRED: Meaning("ledger time has passed the transaction's not-after", "build it again with a new id"),
    Reason.NO_OPERATIONS: Meaning("the transaction is empty", "add an operation"),
    Reason.TOO_MANY_OPERATIONS: Meaning("more than 64 operations", "split it into several transactions"),
    Reason.MISSING_FIELD: Meaning("a field that must be given is empty", "fill it in"),
    Reason.BAD_FIELD: Meaning("a field has a value that cannot be", "correct it"),
    Reason.UNITS_MUST_BE_POSITIVE: Meaning("the number of units is zero", "ask for one unit at least"),
    Reason.AMOUNT_MUST_BE_POSITIVE: Meaning("the amount is zero", "give an amount"),
    Reason.ACCOUNTS_MUST_DIFFER: Meaning("giver and taker are the same account", "name two accounts"),
    Reason.RANGES_OVERLAP: Meaning("the transaction names the same units twice", "name each unit once"),
    Reason.TOO_MANY_RANGES: Meaning("more than 5,000 ranges", "split it into several transactions"),
    Reason.NOT_YET_SUPPORTED: Meaning(
        "this operation has its number and its form, but its rules are not active", "wait for a version that has them"
    ),
    Reason.POLICY_LOCKS_OUT: Meaning(
        "nobody could approve anything under this policy", "name as many people as approvals"
    ),
    Reason.PARTICIPANT_NOT_FOUND: Meaning("no such participant", "see: keeling status"),
    Reason.PARTICIPANT_EXISTS: Meaning("a participant has this id", "choose another id"),
    Reason.ACCOUNT_NOT_FOUND: Meaning("no such account", "see: keeling account list"),
    Reason.ACCOUNT_EXISTS: Meaning("an account has this id", "choose another id"),
    Reason.BATCH_NOT_FOUND: Meaning("no such batch", "see: keeling batch list"),
    Reason.BATCH_EXISTS: Meaning("a batch has this id", "choose another id, or extend that batch"),
    Reason.PROJECT_NOT_FOUND: Meaning("no such project", "register it first"),
    Reason.PROJECT_EXISTS: Meaning("a project has this id", "choose another id"),
    Reason.PROGRAMME_NOT_FOUND: Meaning("no programme record has this id", "see: keeling record list"),
    Reason.REGISTRY_NOT_FOUND: Meaning("no registry record has this id", "see: keeling record list"),
    Reason.HOLD_NOT_FOUND: Meaning("no such hold", "see: keeling hold list"),
    Reason.HOLD_EXISTS: Meaning("a hold has this id", "the first one stands; take a new id for another"),
    Reason.MANDATE_NOT_FOUND: Meaning("no such mandate", "ask the account's owner"),
    Reason.MANDATE_EXISTS: Meaning("a mandate has this id", "choose another id"),
    Reason.KEY_EXISTS: Meaning("the key is on this ledger already", "make a new key"),
    Reason.RECORD_VERSION_NOT_NEXT: Meaning("the version is not the next one", "records count 1, 2, 3 ..."),
    Reason.EVENT_NOT_FOUND: Meaning("no such event ended units", "see: keeling events"),
    Reason.RESTRICTION_NOT_FOUND: Meaning("no such restriction on these units", "see: keeling lot find SERIAL"),
    Reason.NOTICE_NOT_FOUND: Meaning("no such open notice", "see: keeling events"),
    Reason.CURRENCY_MISMATCH: Meaning("the currency has another scale or issuer", "use CODE@BANK as it was issued"),
    Reason.ACCOUNT_CLOSED: Meaning("the account is closed", "use another account"),
    Reason.RECORD_NOT_IN_FORCE: Meaning("the record is not in force at ledger time", "see: keeling record list"),
    Reason.TWIN_NOT_FOUND: Meaning("these units have no twin on record", "see: keeling lot find SERIAL"),
    Reason.NOT_PERMITTED: Meaning("none of the signing keys may approve this", "have the account's approver sign"),
    Reason.NEEDS_APPROVAL: Meaning("more approvals are needed", "collect them: keeling tx sign; then submit again"),
    Reason.SAME_PERSON: Meaning("several keys of the same person count once", "another person must sign"),
    Reason.OUTSIDE_MANDATE: Meaning("the mandate does not cover this", "ask the account's owner for a wider one"),
    Reason.ATTESTOR_IS_PARTY: Meaning(
        "the buyer or beneficiary cannot attest for the registry", "an attestor who is not a party must sign"
    ),
    Reason.GRADE_TOO_WEAK: Meaning("the evidence is weaker than the registry's policy asks", "bring better evidence"),
    Reason.NEEDS_VERIFIER: Meaning("the programme asks for a verifier's approval", "have the verifier sign"),
    Reason.NEEDS_TWO_OPERATORS: Meaning(
        "without the registry's word, two people of the hub must close an instructed hold", "collect both approvals"
    ),
    Reason.ACCOUNT_NOT_EMPTY: Meaning("the account still holds units, cash or holds", "empty it first"),
    Reason.UNITS_NOT_OWNED: Meaning("some of these units are not in the account", "see: keeling lot find SERIAL"),
    Reason.UNITS_HELD: Meaning("some of these units are held", "wait, or ask the holder to release"),
    Reason.UNITS_INSTRUCTED: Meaning("some of these units are instructed at the registry", "wait for its answer"),
    Reason.UNITS_ENDED: Meaning("some of these units are retired, used, cancelled or converted", "choose others"),
    Reason.UNITS_RESTRICTED: Meaning("some of these units are restricted", "see: keeling lot find SERIAL"),
    Reason.UNITS_NOT_FREE: Meaning("some of these units are pending, in a buffer or immobilised", "choose others"),
    Reason.UNITS_UNSEEN: Meaning("nobody has shown some of these units yet", "import the export that shows them"),
    Reason.HOLD_ENDED: Meaning("the hold was captured or released", "see: keeling hold show ID"),
    Reason.HOLD_EXPIRED: Meaning("the hold's time has passed", "place a new one"),
    Reason.HOLD_INSTRUCTED: Meaning(
        "the registry was instructed; the outcome is open", "only its word, or two operators with evidence, ends it"
    ),
    Reason.HOLD_NOT_INSTRUCTED: Meaning("nothing was dispatched for this hold", "dispatch it first"),
    Reason.ATTEMPT_TAKEN: Meaning("this attempt was dispatched already", "ask who has it: keeling hold show ID"),
    Reason.NOT_SETTLED_YET: Meaning(
        "the registry's settling time has not passed since the last attempt", "ask the registry again, do not resend"
    ),
    Reason.NEEDS_REGISTRY_CONFIRMATION: Meaning(
        "these units live at an outside registry; it must confirm first",
        "either hold, dispatch and capture on its word, or move them inside one link",
    ),
    Reason.NO_LINK: Meaning("the account has no link to that registry", "link it: keeling account link"),
    Reason.LINK_SUSPENDED: Meaning(
        "the link to the registry is not working normally", "wait; see: keeling account show"
    ),
    Reason.LINK_EXISTS: Meaning("the account is linked already", "open another account for another registry account"),
    Reason.CLAIM_CONTESTED: Meaning("these units are not free in unassigned@registry", "the other side is shown"),
    Reason.ALREADY_REVERSED: Meaning("this was reversed before", "see: keeling lot find SERIAL"),
    Reason.NOT_REVERSIBLE: Meaning("the event did not end these units", "name the event that did"),
    Reason.OUTSIDE_REVERSAL_WINDOW: Meaning("the programme's reversal window has passed", "ask the registry"),
    Reason.DISCREPANCY: Meaning(
        "the capture names units that the hold cannot take", "attest what the registry said: that opens a discrepancy"
    ),
    Reason.INCOMING_NOT_APPROVED: Meaning("the taking account approves what comes in", "have its approver sign too"),
    Reason.TWIN_EXISTS: Meaning(
        "these units have a twin already", "a tonne lives under one identity; see: keeling lot find SERIAL"
    ),
    Reason.INSUFFICIENT_UNITS: Meaning("the account has fewer free units", "ask for less; see: keeling available"),
    Reason.INSUFFICIENT_CASH: Meaning("the account has less cash", "pay in, or ask for less"),
    Reason.TOO_MANY_LOTS: Meaning("the choice would touch more than 5,000 lots", "split it as advised"),
    Reason.MIXED_GRAINS: Meaning("units of different grains cannot be counted together", "name a batch or programme"),
    Reason.SERIALS_OVERLAP: Meaning("another batch of the space has some of these serials", "check the serials"),
    Reason.OUTSIDE_EXTENT: Meaning("positions outside the batch's extent", "see: keeling batch show"),
    Reason.CAPTURE_EXCEEDS_HOLD: Meaning("more units than the hold has", "capture no more than is held"),
    Reason.LEVY_EXCEEDS_ISSUANCE: Meaning("the levies leave nothing of the issuance", "issue more units at once"),
    Reason.AMOUNT_OVERFLOWS: Meaning("the sum does not fit", "use smaller amounts"),
    Reason.EXCHANGE_ONLY: Meaning("these units trade only on a listed exchange", "settle through its session"),
    Reason.REGISTRY_ONLY: Meaning("these units move only at their registry", "hold, dispatch and capture"),
    Reason.NOT_TRANSFERABLE: Meaning("these units cannot be transferred", "the programme forbids it"),
    Reason.NOT_RETIRABLE: Meaning("these units cannot be retired", "ex-ante and buffer units may not"),
    Reason.OUTSIDE_PRICE_BAND: Meaning("the price is outside the mandate's band", "agree on another price"),
    Reason.AUTHORIZATION_NOT_FOUND: Meaning("no such authorization", "see: keeling authorize list"),
    Reason.AUTHORIZATION_EXISTS: Meaning("an authorization has this id", "choose another id, or amend that one"),
    Reason.AUTHORIZATION_VERSION_NOT_NEXT: Meaning("the version is not the next one", "see: keeling authorize show ID"),
    Reason.APPROACH_NOT_FOUND: Meaning("no cooperative approach has this id", "see: keeling record list"),
    Reason.PARTY_NOT_FOUND: Meaning("no Party has a record with this code", "see: keeling record list"),
    Reason.ACTION_NOT_FOUND: Meaning("no such transfer between Parties", "see: keeling events"),
    Reason.ADJUSTMENT_NOT_FOUND: Meaning("no such adjustment", "see: keeling adjust balance PARTY"),
    Reason.APPROACH_NOT_ACTIVE: Meaning("the cooperative approach is not active", "see: keeling record list"),
    Reason.INITIAL_REPORT_MISSING: Meaning(
        "a Party of the approach has no initial report on record", "put its initial report on the record first"
    ),
    Reason.APPROACH_STEP_OUT_OF_ORDER: Meaning(
        "an approach cannot go from its state to this one", "see: keeling record list"
    ),
    Reason.PARTICIPANT_STAYS_IN_PARTY: Meaning(
        "a participant is in one Party and stays there", "name it only where it was"
    ),
    Reason.METHOD_IS_FIXED: Meaning(
        "one method is kept for the whole NDC period", "keep the method until the period ends"
    ),
    Reason.AUTHORIZATION_REVOKED: Meaning("the authorization was revoked", "ask the host Party's authority"),
    Reason.ALREADY_RECOGNISED: Meaning("this Party recognised this transfer before", "the first recognition stands"),
    Reason.REPORT_STEP_OUT_OF_ORDER: Meaning(
        "this step does not follow the last one", "report, then the result, then the transparency report"
    ),
    Reason.YEAR_IS_FINAL: Meaning("the adjustments of this year are final", "they can never change again"),
    Reason.LEVIES_DISAGREE: Meaning(
        "the levies are not those of the programme's record", "check amounts and rounding: keeling record list"
    ),
    Reason.CAP_TOO_LOW: Meaning(
        "more units are under the authorization than this cap", "revoke it, or choose a higher cap"
    ),
    Reason.TOO_MANY_BATCHES: Meaning("the scope covers more than 1,000 batches", "name projects or batches instead"),
    Reason.PARTY_UNKNOWN: Meaning(
        "the ledger does not know in which Party this is", "have the electorate put it on a Party's record"
    ),
    Reason.PARTY_NOT_AUTHORIZED: Meaning(
        "the authorization does not name this Party", "see: keeling authorize show ID"
    ),
    Reason.ENTITY_NOT_AUTHORIZED: Meaning(
        "the authorization does not name this entity", "see: keeling authorize show ID"
    ),
    Reason.NOT_AUTHORIZED: Meaning(
        "these units have no authorization: they count for their host", "ask the host Party to authorize them"
    ),
    Reason.PURPOSE_NOT_AUTHORIZED: Meaning(
        "the authorization is for another purpose", "see: keeling authorize show ID"
    ),
    Reason.OUTSIDE_TIME_FRAME: Meaning("outside the authorized time frame", "see: keeling authorize show ID"),
    Reason.AUTHORIZATION_CONDITIONAL: Meaning(
        "the authorization's conditions are not met yet", "the host Party amends it when they are"
    ),
    Reason.VINTAGE_YEAR_UNKNOWN: Meaning("the vintage is in no one calendar year", "issue it with its NDC year"),
    Reason.NOT_IN_SCOPE: Meaning(
        "these units cannot come under this authorization", "see host, grain and vintage of the batch"
    ),
}

_NEVER_PINNED: Final = frozenset(
    {Reason.ID_OUT_OF_WINDOW, Reason.ID_NOT_UUID7, Reason.DUPLICATE, Reason.ID_USED_WITH_OTHER_CONTENT}
    | {Reason.NEEDS_APPROVAL, Reason.SAME_PERSON, Reason.NEEDS_VERIFIER, Reason.NEEDS_TWO_OPERATORS}
    | {Reason.INCOMING_NOT_APPROVED, Reason.NOT_PERMITTED, Reason.ATTESTOR_IS_PARTY}
)
"""Either nothing was decided now, or the same transaction may come again with more approvals."""


def pins(reason: Reason) -> bool:
    """Whether a result with this reason binds the transaction's id for ever (guarantee G5)."""
    return reason == Reason.ACCEPTED or (reason >= 200 and reason not in _NEVER_PINNED)
