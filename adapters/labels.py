"""The names of labels across registries, and the table that finds them in what registries write.

A label is looked up by its plain text: one kind of dash, single spaces, no case. A text that is not in the table is
kept as "other:<text>", never dropped and never guessed. Answers ("Yes", "No", empty) are read here too.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from adapters.delimited import plain
from adapters.exports import Answer, Label

ARTICLE6_NDC: Final = "article6:ndc"
ARTICLE6_IMP: Final = "article6:imp"
ARTICLE6_OP: Final = "article6:op"
ARTICLE6: Final = "article6"
"""Authorised under Article 6, use not stated."""
ADJUSTMENT: Final = "corresponding-adjustment"
CORSIA: Final = "corsia"
"""Eligible for CORSIA, phase not stated."""
CORSIA_PILOT: Final = "corsia:pilot"
CORSIA_FIRST: Final = "corsia:first"
CCP: Final = "ccp"
REMOVAL: Final = "kind:removal"
REDUCTION: Final = "kind:reduction"
ARB_ELIGIBLE: Final = "eligible:arb"
ECOLOGY_ELIGIBLE: Final = "eligible:wa-ecology"
EX_ANTE: Final = "ex-ante"
"""Planned or future units: tradable perhaps, never to be retired as achieved."""
ASSIGNED: Final = "assigned"
PRODUCT: Final = "product:"
"""Prefix for the registry's own unit kind ("product:ver")."""

_TABLE: Final = {
    "article 6 authorized - ndc use": ARTICLE6_NDC,
    "article 6 authorized - intl mitigation purposes": ARTICLE6_IMP,
    "article 6 authorized - international mitigation purposes": ARTICLE6_IMP,
    "article 6 authorized - other purposes": ARTICLE6_OP,
    "article 6 authorized": ARTICLE6,
    "article 6 - authorisation": ARTICLE6,
    "corsia - pilot phase, 2021-2023 eligible": CORSIA_PILOT,
    "corsia - first phase, 2024-2026 scope": CORSIA_FIRST,
    "corsia - first phase, 2024-2026 eligible": CORSIA_FIRST,
    "corsia 2021-2023 (pilot phase)": CORSIA_PILOT,
    "corsia 2024-2026 (first phase)": CORSIA_FIRST,
    "icvcm ccp": CCP,
    "icvcm ccp eligible": CCP,
    "ccp approved": CCP,
    "carbon dioxide removals": REMOVAL,
    "emission removal": REMOVAL,
    "removal": REMOVAL,
    "ghg emissions reductions": REDUCTION,
    "emission reduction": REDUCTION,
    "reduction": REDUCTION,
    "ccb-no distinction": "ccb",
    "ccbs": "ccb",
    "ccb-gold": "ccb:gold",
    "ccbs-gold": "ccb:gold",
    "ccb-biodiversity gold": "ccb:biodiversity-gold",
    "ccb-climate gold": "ccb:climate-gold",
    "ccb-community gold": "ccb:community-gold",
    "social carbon": "social-carbon",
}

_ANSWERS: Final = {
    "yes": Answer.YES,
    "true": Answer.YES,
    "no": Answer.NO,
    "false": Answer.NO,
    "not applicable": Answer.NOT_APPLICABLE,
    "n/a": Answer.NOT_APPLICABLE,
}


def label_name(text: str) -> str:
    """Return our name of one label as a registry writes it."""
    key = plain(text)
    return _TABLE.get(key, f"other:{key}")


@lru_cache(maxsize=4096)
def split_labels(text: str, separator: str) -> tuple[Label, ...]:
    """Return the labels of a cell that joins them, each once, in the order of the cell. Empty text has none."""
    names = dict.fromkeys(label_name(part) for part in text.split(separator) if part.strip())
    return tuple(Label(name, Answer.YES) for name in names)


@lru_cache(maxsize=4096)
def answered(name: str, text: str) -> tuple[Label, ...]:
    """Return the label with the answer of a Yes/No cell; an empty cell answers nothing. Other words: "other:…"."""
    if not text.strip():
        return ()
    answer = _ANSWERS.get(plain(text))
    return (Label(name, answer),) if answer else (Label(f"other:{name}={plain(text)}", Answer.YES),)


@lru_cache(maxsize=256)
def flagged(name: str) -> tuple[Label, ...]:
    """Return the label as a fact that the row's own form states."""
    return (Label(name, Answer.YES),)


def merge_labels(parts: Iterable[tuple[Label, ...]]) -> tuple[Label, ...]:
    """Return the labels of all parts, each name and answer once."""
    return tuple(dict.fromkeys(label for part in parts for label in part))
