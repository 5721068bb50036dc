"""What identifies an import: a digest of its rows, and the day up to which its files know. Pure.

The day is the latest that any row states. It is part of the run's name, so that every event of an import tells how new
its source was: an older export that comes later is recognised by it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from adapters.exports import Effective, EvidenceRow, Record, UnitRow

UNDATED: Final = "undated"
_NAME: Final = re.compile(rf"(?:(\d{{4}}-\d\d-\d\d)|{UNDATED})-[0-9a-f]{{32}}", re.ASCII)


class Run(NamedTuple):
    """What identifies an import: the same rows of the same registry give the same run, on any machine."""

    id: str
    """The day, if any row states one, and 128 bits of a digest: "2026-04-14-1f7a90c2…"."""
    registry: str
    evidence: bytes
    """SHA-256 over the digests of all rows, e-mail addresses removed before."""
    as_of: str
    """The day (YYYY-MM-DD) up to which the files know; empty: no row states a date."""


class RunBuilder:
    """Looks at every row of a run, in order."""

    def __init__(self, registry: str) -> None:
        self._registry: Final = registry
        self._rows = hashlib.sha256()
        self._latest = ""

    def add(self, record: Record) -> None:
        """Look at one row."""
        self._rows.update(record.source.digest)
        if isinstance(record, UnitRow):
            self._look(record.effective)
            self._look(record.batch.issued)
        elif isinstance(record, EvidenceRow):
            self._look(record.effective)

    def watch(self, records: Iterable[Record]) -> Iterator[Record]:
        """Look at rows that are on their way to somebody else."""
        for record in records:
            self.add(record)
            yield record

    def _look(self, effective: Effective | None) -> None:
        if effective is not None:
            self._latest = max(self._latest, effective.at.date().isoformat())

    def build(self, as_of: str = "") -> Run:
        """The run; `as_of` is the day where somebody knows it better."""
        evidence, day = self._rows.digest(), as_of or self._latest
        digest = hashlib.sha256(b"keeling/import/v1\n" + self._registry.encode("utf-8") + b"\n" + evidence)
        return Run(f"{day or UNDATED}-{digest.digest()[:16].hex()}", self._registry, evidence, day)


def identify_run(registry: str, records: Iterable[Record], as_of: str = "") -> Run:
    """The run of these rows."""
    builder = RunBuilder(registry)
    for record in records:
        builder.add(record)
    return builder.build(as_of)


def day_of_run(run: str) -> str:
    """The day in the name of a run; empty if it has none."""
    found = _NAME.fullmatch(run)
    return found[1] or "" if found else ""


def names_run(source: str) -> bool:
    """Whether what an event names as its source is an import, and not an attestation or a notice."""
    return _NAME.fullmatch(source) is not None
