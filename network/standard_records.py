"""Records a new network begins with, so that the exports of the registries we can read load at once.

They are data, not rules: each says where it comes from and since when, and the electorate replaces it by a next version
(`keeling record set`). Which file belongs to which registry is known in `adapters`; what a record makes the ledger do,
in `node.core`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from keeling.aef_words import LISTS, SEPARATOR, SOURCE
from keeling.v1 import operations_pb2 as op

_SETTLING_MS: Final = 24 * 3_600_000
"""A registry's public books are taken to show an event within a day: none of those below promises less."""


class StandardRegistry(NamedTuple):
    """An outside registry: its key (as in `--registry`), the scheme of its serials, and where its rules stand."""

    registry: str
    scheme: str
    source: str


class StandardProgramme(NamedTuple):
    """A programme whose units an outside registry records. `since` is when its rules began to apply."""

    programme: str
    registry: str
    scheme: str
    grain: str
    since: str
    source: str
    retirable: bool = True
    """False for what is planned and not achieved."""


REGISTRIES: Final = (
    StandardRegistry("verra", "verra", "Verra Registry, public VCU export (April 2026)"),
    StandardRegistry("gold_standard", "gold_standard", "Gold Standard Impact Registry, public exports (April 2026)"),
    StandardRegistry("acr", "acr", "American Carbon Registry, public reports (April 2026)"),
    StandardRegistry("car", "car", "Climate Action Reserve, public reports (April 2026)"),
    StandardRegistry("art", "art", "ART Registry, public reports (April 2026)"),
    StandardRegistry("cercarbono", "cercarbono", "EcoRegistry, public lists of Cercarbono (April 2026)"),
    StandardRegistry("isometric", "opaque", "Isometric Registry, public lists without serials (April 2026)"),
    StandardRegistry("arb", "opaque", "California Air Resources Board, offset credit issuance table (April 2026)"),
)

PROGRAMMES: Final = (
    StandardProgramme("VCS", "verra", "verra", "T_CO2E", "2006-03-28", "Verra, VCS Program Guide"),
    StandardProgramme(
        "GS", "gold_standard", "gold_standard", "T_CO2E", "2006-01-01", "Gold Standard for the Global Goals"
    ),
    StandardProgramme(
        "GS-PER",
        "gold_standard",
        "gold_standard",
        "T_CO2E",
        "2006-01-01",
        "Gold Standard for the Global Goals: planned emission reductions, tradable and not retirable",
        retirable=False,
    ),
    StandardProgramme("CDM", "gold_standard", "gs_cer_pair", "T_CO2E", "2005-02-16", "Kyoto Protocol, Article 12"),
    StandardProgramme("ACR", "acr", "acr", "T_CO2E", "1996-01-01", "The ACR Standard"),
    StandardProgramme("CAR", "car", "car", "T_CO2E", "2008-01-01", "Reserve Offset Program Manual"),
    StandardProgramme(
        "ART", "art", "art", "T_CO2E", "2020-02-01", "The REDD+ Environmental Excellence Standard (TREES)"
    ),
    StandardProgramme("CERCARBONO", "cercarbono", "cercarbono", "T_CO2E", "2016-01-01", "Cercarbono Protocol"),
    StandardProgramme("ISOMETRIC", "isometric", "opaque", "KG_CO2E", "2022-01-01", "Isometric Standard"),
)

_ARTICLE_6_4: Final = "Decision 3/CMA.3, annex, paragraphs 58 and 59: 5 % share of proceeds, then at least 2 % OMGE"


def build_standard_records(own: str) -> list[op.SetRecord]:
    """The records of a network that `own` founds: it issues natively, and may import and attest for each registry; the
    words of authorizations are those of the agreed electronic format.
    """
    records = [_registry(each, own) for each in REGISTRIES]
    records += [_programme(each) for each in PROGRAMMES]
    records += [_words(name, words) for name, words in LISTS.items()]
    return [*records, _national(own), _article_6_4(own)]


def describe_levy_accounts() -> Sequence[str]:
    """Accounts that must be open before the first native issuance under the standard Article 6.4 record."""
    return ("adaptation-fund", "omge")


def _registry(registry: StandardRegistry, own: str) -> op.SetRecord:
    policy = op.RegistryPolicy(
        scheme=registry.scheme,
        attestors=[own],
        importers=[own],
        capture_grade="C",
        attestors_needed=1,
        settling_ms=_SETTLING_MS,
    )
    return op.SetRecord(id=f"registry:{registry.registry}", version=1, source=registry.source, registry=policy)


def _programme(programme: StandardProgramme) -> op.SetRecord:
    body = op.Programme(
        registry=programme.registry,
        native=False,
        grain=programme.grain,
        scheme=programme.scheme,
        transfer_rule=op.Programme.FREE,
        retirable=programme.retirable,
    )
    since = _since(programme.since)
    return op.SetRecord(
        id=programme.programme, version=1, source=programme.source, effective_from=since, programme=body
    )


def _national(own: str) -> op.SetRecord:
    """Units this ledger itself is the registry of record for, without levies."""
    body = op.Programme(
        registry=own, native=True, grain="T_CO2E", scheme="opaque", transfer_rule=op.Programme.FREE, retirable=True
    )
    return op.SetRecord(id="NATIONAL", version=1, source=f"{own}: units issued on this ledger", programme=body)


def _article_6_4(own: str) -> op.SetRecord:
    adaptation, omge = describe_levy_accounts()
    levies = [
        op.Levy(name="SOP", basis_points=500, account=adaptation, rounding=op.Levy.UP),
        op.Levy(name="OMGE", basis_points=200, account=omge, cancelled=True, rounding=op.Levy.UP),
    ]
    body = op.Programme(
        registry=own,
        native=True,
        grain="T_CO2E",
        scheme="a64er",
        transfer_rule=op.Programme.FREE,
        retirable=True,
        levies=levies,
    )
    since = _since("2021-11-13")
    return op.SetRecord(id="A64", version=1, source=_ARTICLE_6_4, effective_from=since, programme=body)


def _words(name: str, words: Sequence[str]) -> op.SetRecord:
    return op.SetRecord(id=name, version=1, source=SOURCE, rule=op.Rule(value=SEPARATOR.join(words)))


def _since(day: str) -> op.When:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    ms = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return op.When(ms=ms, precision=op.When.DATE)
