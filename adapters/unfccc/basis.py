"""What the adapter of the UNFCCC's registries relies on: what was read, with source, and what is assumed, without.

No technical interface of these registries is published; the exchange is modelled on the Kyoto Data Exchange Standards,
the only one between registries that was ever in use.
"""

from __future__ import annotations

from typing import Final

from adapters.capabilities import (
    Action,
    Capabilities,
    Confirmation,
    Decision,
    Idempotency,
    Limit,
    LookUp,
    SerialChoice,
)
from adapters.contract import Basis
from adapters.des.messages import BLOCKS_MAX

_DES: Final = "Kyoto Data Exchange Standards as in UKGovernmentBEIS/ukets-registry @4e80ded, common/registry wsdl"
_GUIDANCE: Final = "2/CMA.3 annex paras 2, 7 and 8, as quoted in public plans"
_REGISTRY: Final = "unfccc.int, Article 6.4 mechanism registry"
_LINK: Final = "unfccc.int, Article 6.2: international registry and additional registry services"
_GRAMMAR: Final = "A6.4-SBM015-A12 paras 13-17, as cited by a public serial grammar"
_WORDS: Final = "List of common nomenclatures under Article 6.2, 17 February 2026, as in carbon-registry-undp aef-v2"

BASIS: Final = (
    Basis("new units are created in a pending account and forwarded on the participants' instruction", _REGISTRY),
    Basis("it is connected to the international registry, where units move when they become ITMOs", _LINK),
    Basis("Party registries connect once interoperability arrangements are in place; none is published", _LINK),
    Basis("a unit is 1 t CO2e, its serial unique within vintage and activity and the same after a transfer", _GRAMMAR),
    Basis("the mechanism registry's code is UN01, the one with two letters", _GRAMMAR),
    Basis("a message is accepted (1) or rejected (0); that is not acceptance of its transaction", _DES),
    Basis("transaction types 1, 3, 4, 5, 10 and statuses 1 to 10 have the meanings given in messages", _DES),
    Basis("an acquirer answers with 8 accepted or 6 rejected; later messages do not change what is final", _DES),
    Basis("a proposal names at most 3,000 unit blocks by start and end", _DES),
    Basis("words for actions and their subtypes are those of the reporting tables, verbatim", _WORDS),
    Basis("a first transfer for NDC use is the first international one, and happens to a quantity once", _GUIDANCE),
    Basis("the host adds what is first transferred by vintage year; the user subtracts in the year of use", _GUIDANCE),
    Basis("the share for adaptation is 5 % of what is issued, in units, rounded up"),
    Basis("overall mitigation takes at least 2 %, so that it is never rounded down"),
    Basis("an issuance says how many of its units are for adaptation and for overall mitigation, lowest numbers first"),
    Basis("an issuance is one range of serials in one event; the next one of the activity and year goes on after it"),
    Basis("messages are JSON over HTTPS with a detached JWS (Ed25519); answers and events are signed envelopes"),
    Basis("the registry keeps the sender's transactionIdentifier and does what one identifier proposes once"),
    Basis("the registry checks a proposal and completes it itself; the sender sends no completion"),
    Basis("a transaction that is not final after 24 hours is cancelled"),
    Basis("events are listed in order after a cursor, and pushed as the same signed envelopes"),
    Basis("a serial is printed HOST-UN01-ACTIVITY-VINTAGE-FIRST-LAST; no official example exists"),
    Basis("a part of a proposal may be refused: refusedUnits says how much"),
    Basis("a revoked letter restricts what was not first transferred and leaves the rest as it is"),
    Basis("at most 600 requests a minute"),
)  # fmt: skip

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.TRANSFER, Action.CANCEL, Action.USE, Action.RETIRE, Action.ACCEPT, Action.DECLINE}),
    idempotency=Idempotency.NATIVE,
    decision=Decision.LATER,
    confirmation=Confirmation.PUSH,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE}),
    serials=SerialChoice.OURS,
    lots_max=BLOCKS_MAX,
    limits=(Limit(600, 60_000, stated=False),),
    grade="B",
)
