"""Words of an authorization that a report in the agreed electronic format takes from a list: by governed records.

A record `aef:sectors`, `aef:activity-types` or `aef:mitigation-types` is a rule whose value is the list; without it any
word is taken. What the words mean is nobody's business here.
"""

from __future__ import annotations

from collections.abc import Sequence

from keeling.aef_words import SEPARATOR
from keeling.operations import AuthorizationTerms
from keeling.reasons import Reason
from node.core.context import Context
from node.core.refusal import Refused


def check_words(tx: Context, terms: AuthorizationTerms) -> None:
    """A host says sector and mitigation type, and no word that its report could not (decision 4/CMA.6, annex II)."""
    mitigation = (terms.mitigation_type,) if terms.mitigation_type else ()
    _check_list(tx, "aef:sectors", "terms.sectors", terms.sectors, needed=True)
    _check_list(tx, "aef:activity-types", "terms.activity_types", terms.activity_types)
    _check_list(tx, "aef:mitigation-types", "terms.mitigation_type", mitigation, needed=True)


def _check_list(tx: Context, record: str, field: str, words: Sequence[str], *, needed: bool = False) -> None:
    version = tx.version(record)
    if version is None or version.rule is None or not version.rule.value:
        return
    allowed = version.rule.value.split(SEPARATOR)
    if needed and not words:
        detail = f"{field} is empty; {record} has: {version.rule.value}"
        raise Refused(Reason.MISSING_FIELD, detail, field=field)
    for word in words:
        if word not in allowed:
            detail = f"{word!r} is not in {record}, which has: {version.rule.value}"
            raise Refused(Reason.BAD_FIELD, detail, field=field)
