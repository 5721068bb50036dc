"""What the adapter of India's carbon registry relies on: what was read, with source, and what is assumed, without.

Neither serials nor interface of the registry are public; the day of an exchange session is that of renewable energy
certificates, the closest one in operation.
"""

from __future__ import annotations

from typing import Final

from adapters.capabilities import (
    Action,
    Calendar,
    Capabilities,
    Confirmation,
    Decision,
    Idempotency,
    Limit,
    LookUp,
    SerialChoice,
)
from adapters.contract import Basis

_RULES: Final = "CERC regulations of 2026 on carbon credit certificates, as reported by reclimatize.in and koan"
_DRAFT: Final = "CERC draft of November 2024, as reported by mercomindia.com and esgnews.earth"
_SESSION: Final = "iexindia.com, renewable energy certificates"
_TARGETS: Final = "GEI Target Rules 2025, as reported"

BASIS: Final = (
    Basis("one registry of accounts and transfers, run by Grid Controller of India", _RULES),
    Basis("1 certificate is 1 t CO2e", _RULES),
    Basis("certificates change hands in exchange sessions only, at IEX, PXIL or HPX, monthly by default", _RULES),
    Basis("settlement is one day after the session", _RULES),
    Basis("obligated and other entities have accounts; the administrator tells of expiry and extinguishment", _DRAFT),
    Basis("a seller offers no more than the registry holds for it; over-bids are found automatically", _DRAFT),
    Basis("three breaches in a quarter bar from trading for six months", _DRAFT),
    Basis("issued and bought certificates may be banked", _TARGETS),
    Basis("a session is on the last Wednesday of the month, 13:00 to 15:00, on all exchanges at once", _SESSION),
    Basis("each exchange reports offers per seller by 15:30; the registry confirms availability by 16:00", _SESSION),
    Basis("what a seller offers on all exchanges of a session is added up; above what is free, all of it is refused"),
    Basis("one session's over-bid is one breach, whatever the number of orders"),
    Basis("a quarter is a calendar quarter in Indian time; the bar begins with the third breach"),
    Basis("accounts are GCI-OE-{entity} and GCI-NOE-{entity}, blocks IN-CCC-{OE|OFF}-{entity}-{year}-{first}-{last}"),
    Basis("orders, events, balances and holdings are JSON over HTTPS with a bearer token and an Idempotency-Key"),
    Basis("the same key again answers with the first order; another body under it is refused"),
    Basis("units blocked for a session are transferred out of that block, or released"),
    Basis("banked certificates may be offered and surrendered like new ones"),
    Basis("a certificate ended at its holder's wish is extinguished"),
    Basis("at most 120 requests a minute"),
)  # fmt: skip

CAPABILITIES: Final = Capabilities(
    actions=frozenset({Action.BLOCK, Action.UNBLOCK, Action.TRANSFER, Action.USE, Action.RETIRE, Action.CANCEL}),
    idempotency=Idempotency.NATIVE,
    decision=Decision.LATER,
    confirmation=Confirmation.POLL,
    settles_within_ms=600_000,
    looked_up_by=frozenset({LookUp.KEY, LookUp.REFERENCE}),
    serials=SerialChoice.OURS,
    lots_max=200,
    limits=(Limit(120, 60_000, stated=False),),
    grade="B",
    calendar=Calendar("Asia/Kolkata", 0, 1440, (0, 1, 2, 3, 4, 5, 6)),
)
