"""What each reason says to a person, and what they can do about it. Numbers and names are in `keeling.reasons`."""

from __future__ import annotations

from typing import Final, NamedTuple

from keeling.reasons import Reason


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
    Reason.BLOCK_IS_FULL: Meaning("other large choices came first in the block", "hand it in again as it is"),
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
    Reason.TRANSACTION_NOT_FOUND: Meaning("no transaction has this id here", "if it was sent just now, ask again"),
    Reason.SERIALS_NOT_FOUND: Meaning("no batch here has any of these numbers", "see: keeling batch list"),
    Reason.BAD_PAGE_TOKEN: Meaning("the page token is of no list, or of another one", "start without a token"),
    Reason.BEYOND_FINAL: Meaning("that height is not final here yet", "see how far the node is: keeling status"),
    Reason.NOT_KEPT: Meaning("this node has dropped what the answer is made from", "ask a node that keeps it"),
    Reason.MOTION_NOT_FOUND: Meaning("no motion has this name", "see: keeling motion list"),
    Reason.MOTION_EXISTS: Meaning("a motion has this name, for ever", "choose another name"),
    Reason.VALIDATOR_NOT_FOUND: Meaning(
        "the participant has no validator's keys on the ledger", "admit it as validator, or replace its keys"
    ),
    Reason.ELECTORATE_LOCKED_OUT: Meaning(
        "afterwards fewer than a quorum of the validators could approve anything", "give others GOVERN keys first"
    ),
    Reason.TOO_MANY_VALIDATORS: Meaning("more than 32 validators", "let one leave first"),
    Reason.VALIDATOR_NOT_READY: Meaning(
        "its own keys have not put Ready on the ledger", "start its node; it says Ready when it has caught up"
    ),
    Reason.READY_HEIGHT_WRONG: Meaning(
        "the height is not between its admission and now", "name the height that the node has executed"
    ),
    Reason.KEY_NOT_PROVED: Meaning("one of the node's four keys did not sign", "sign Ready with the admitted keys"),
    Reason.POLICY_UNCHANGED: Meaning("these validators are in force in this order already", "nothing needs to be done"),
    Reason.POLICY_NOT_POSSIBLE: Meaning("no such set of validators can be in force", "correct what the text names"),
    Reason.SUSPENDED_ALREADY: Meaning("the participant is suspended already", "nothing needs to be done"),
    Reason.NOT_SUSPENDED: Meaning("the participant is not suspended", "nothing needs to be done"),
    Reason.MOTION_EXPIRED: Meaning("ledger time has passed the motion's end", "open a new motion"),
    Reason.MOTION_DECIDED: Meaning("a quorum has approved the motion already", "see: keeling motion show NAME"),
    Reason.APPROVED_ALREADY: Meaning("this validator has approved the motion", "the others must approve"),
    Reason.TOO_MANY_MOTIONS: Meaning("64 motions are open", "approve them, or wait for one to expire"),
    Reason.VERSION_NOT_NEXT: Meaning("not the version after the one in force", "versions come into force one by one"),
    Reason.HEIGHT_HAS_PASSED: Meaning("that height has been reached", "name a later one"),
    Reason.ATTESTATION_NOT_DUE: Meaning(
        "no digest of the state at this height is asked for", "nothing needs to be done"
    ),
    Reason.ATTESTED_ALREADY: Meaning("this validator has attested that height", "one word per validator and height"),
}
