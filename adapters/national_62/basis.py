"""What the adapter of a national Article 6.2 registry relies on: read, with its source, or assumed, without."""

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

_SWISS: Final = "SR 0.814.012.136.3 (Switzerland-Ghana) art 8, SR 0.814.012.153.2 (Malawi) art 10"
_DES: Final = "Kyoto Data Exchange Standards as in UKGovernmentBEIS/ukets-registry @4e80ded, common/registry wsdl"
_WORDS: Final = "List of common nomenclatures under Article 6.2, 17 February 2026, as in carbon-registry-undp aef-v2"
_GUIDANCE: Final = "2/CMA.3 annex paras 2, 37 and 39, as quoted in public plans"
_LAYOUT: Final = "decision 4/CMA.6 annex II, as in carbon-registry-undp aef-v2"

BASIS: Final = (
    Basis("the transferring Party recognises the transfer in its registry and books the addition", _SWISS),
    Basis("the receiving Party recognises the outcomes as ITMOs in its own registry, at its own time", _SWISS),
    Basis(
        "a notification names acquirer, quantity, identifiers with origin and vintage, and the authorization", _SWISS
    ),
    Basis("registry codes are three letters of the Party and two digits", _WORDS),
    Basis(
        "an ITMO is identified by approach, registry, first transferring Party, serial and vintage", "6/CMA.4 annex I"
    ),
    Basis("a unit is first transferred once; later transfers between Parties are plain transfers", _GUIDANCE),
    Basis("nothing is deducted for adaptation or overall mitigation under Article 6.2", _GUIDANCE),
    Basis("actions and holdings of a year are reported in five tables, annually by 15 April", _LAYOUT),
    Basis("a message is accepted (1) or rejected (0); an acquirer answers 8 or 6; at most 3,000 blocks", _DES),
    Basis("the registry follows the exchange of messages as the UNFCCC's does; no Party publishes another interface"),
    Basis("reporting files are handed in and fetched through the exchange, by name, with their SHA-256"),
    Basis("a file name is used once: other content under it is refused"),
    Basis("a Party's recognition is an event of its own, beside that of the transfer"),
    Basis("ranges of ITMOs are written as first and last identifier with ' - ' between"),
    Basis("a transaction that is not final after 24 hours is cancelled"),
    Basis("at most 300 requests a minute"),
)

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.TRANSFER, Action.CANCEL, Action.USE, Action.RETIRE, Action.ACCEPT, Action.DECLINE}),
    idempotency=Idempotency.NATIVE,
    decision=Decision.LATER,
    confirmation=Confirmation.PUSH,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE}),
    serials=SerialChoice.OURS,
    lots_max=BLOCKS_MAX,
    limits=(Limit(300, 60_000, stated=False),),
    grade="B",
)
