"""What the agreed electronic format has no cell for in the terms of an authorization: asked before they are handed in.

The ledger keeps the words of an authorization for ever; a report that cannot be handed in because of them would be
noticed a year later. What the format's cells look like is in `layout`, their words in `nomenclature`; what the terms
mean is decided by the ledger.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hub.aef import nomenclature as n
from hub.aef.build import SEPARATOR
from hub.aef.layout import is_given
from keeling.v1 import operations_pb2 as op

_UNPRINTED = ("Cc", "Cs", "Cn", "Zl", "Zp")
"""Signs that no cell keeps: control characters, halves of characters, line separators, what is no character."""


class Unreportable(NamedTuple):
    """A word that no cell takes: which term it is, what is wrong with it, and the words that are allowed, if listed."""

    term: str
    text: str
    allowed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.term}: {self.text}" + (f" (one of: {'; '.join(self.allowed)})" if self.allowed else "")


def find_unreportable(authorization: str, terms: op.AuthorizationTerms) -> list[Unreportable]:
    """Everything for which a report that names this authorization would be found inconsistent."""
    found = [*_check_text("authorization", authorization)]
    found += _check_listed("sector", terms.sectors, n.SECTORS, needed=True)
    found += _check_listed("activity type", terms.activity_types, n.ACTIVITY_TYPES)
    mitigation = [terms.mitigation_type] if terms.mitigation_type else []
    found += _check_listed("mitigation type", mitigation, n.MITIGATION_TYPES, needed=True)
    for term in ("oimp", "non_ghg_metric", "gwp", "conditions", "notes"):
        found += _check_text(term.replace("_", " "), getattr(terms, term))
    for entity in terms.entities:
        for term in ("name", "identification", "conditions", "change_conditions", "notes"):
            found += _check_text(f"{term.replace('_', ' ')} of an entity", getattr(entity, term))
        if SEPARATOR.strip() in entity.identification:
            found.append(Unreportable("identification of an entity", f"{entity.identification!r} has a semicolon"))
    return found


def _check_listed(
    term: str, words: Sequence[str], allowed: tuple[str, ...], *, needed: bool = False
) -> Iterator[Unreportable]:
    if needed and not words:
        yield Unreportable(term, "none is named", allowed)
    for word in words:
        if word not in allowed:
            yield Unreportable(term, f"{word!r} is not in the nomenclature", allowed)


def _check_text(term: str, text: str) -> Iterator[Unreportable]:
    """A text that is given says something, in signs that a cell keeps; `NA` means that it does not apply."""
    if text and not is_given(text):
        yield Unreportable(term, f"{text!r} says nothing in a report; leave it out")
    odd = next((sign for sign in text if unicodedata.category(sign) in _UNPRINTED), None)
    if odd is not None:
        yield Unreportable(term, f"{text!r} has a sign that no cell keeps: U+{ord(odd):04X}")
