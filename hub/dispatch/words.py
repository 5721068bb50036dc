"""The words a registry wants about a hold besides its units: who benefits by the registry's own code, which session.

They are configured for each registry, and may differ by the buyer: the ledger shows buyers by participant id and
nothing else of them. The same hold must get the same words whenever it is looked at, so that nothing here asks a clock:
what depends on time is taken from the hold. What a registry does with a word is its adapter's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from adapters.icm.sessions import find_session_before
from hub.dispatch.seat import describe_buyer
from keeling.v1 import ledger_pb2 as pb

BY_EXPIRY: Final = "by-expiry"
"""As the word `session`: the last session of an Indian exchange before the hold expires."""


class Words(NamedTuple):
    """What is said to one registry."""

    always: Mapping[str, str] = {}
    """About every hold: `redemption_account`, `exchange` …"""
    by_buyer: Mapping[str, Mapping[str, str]] = {}
    """About holds of a buyer, by the participant id on the ledger: `beneficiary_id`, `beneficiary` …"""


def describe_with(registries: Mapping[str, Words]) -> Callable[[pb.HoldInfo], dict[str, str]]:
    """What a `Seat` takes as `details`: the buyer's public name, then the registry's words, then the buyer's own."""

    def describe(hold: pb.HoldInfo) -> dict[str, str]:
        words = registries.get(hold.registry, Words())
        buyer = hold.buyer or hold.holder
        said = {**describe_buyer(hold), **words.always, **words.by_buyer.get(buyer, {})}
        if said.get("session") == BY_EXPIRY:
            said["session"] = find_session_before(hold.expires_ms).isoformat()
        return said

    return describe
