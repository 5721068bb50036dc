"""A sandbox of the UNFCCC's registries: issuance and levies, letters, first transfers, adjustments. Not the real one.

What is said and how is in `exchange`; where the published texts are silent, `adapters.unfccc.basis` says what was
assumed.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.acts import Act, Values, read_serials
from adapters.sandbox.article6 import Letter
from adapters.sandbox.book import Entry
from adapters.sandbox.exchange_values import Fact
from adapters.sandbox.party_acts import PartySandbox, describe_action
from adapters.unfccc.mapping import ADAPTATION_FUND, CODE, PENDING
from keeling.serials import SerialRange, parse, print_range

HOLDING: Final = "MMR-AP-0001"
OMGE: Final = "OMGE-CANCELLATION"
_SHARE_PERCENT: Final = 5
_OMGE_PERCENT: Final = 2


class Levies(NamedTuple):
    """How an issuance was divided: the adaptation share, overall mitigation, and the rest."""

    adaptation: SerialRange
    omge: SerialRange
    rest: SerialRange


def divide(units: int) -> tuple[int, int]:
    """The adaptation share and overall mitigation of an issuance, both rounded up."""
    return -(-units * _SHARE_PERCENT // 100), -(-units * _OMGE_PERCENT // 100)


class UnfcccSandbox(PartySandbox):
    """The Article 6.4 mechanism registry with the international registry behind it."""

    name = "unfccc"
    code = CODE

    def fill(self, units: int = 1_000_000, account: str = HOLDING, activity: str = "0007") -> SerialRange:
        """Issue units straight to an account."""
        serials = parse(f"MMR-{CODE}-{activity}-2024-1-{units}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def acts(self) -> dict[str, Act]:
        return super().acts() | {"issue": self._act_issue}

    def _act_issue(self, values: Values) -> Any:
        """To the pending account, with both levies; whoever forwards the rest lets it `transfer` them."""
        (serials,) = read_serials(values)
        levies = self.issue(serials)
        return {name: print_range(part) for name, part in levies._asdict().items()}

    def issue(self, serials: SerialRange, letter: Letter | None = None) -> Levies:
        """Issue to the pending account and take 5 % and at least 2 %, both rounded up; raises `ValueError`."""
        now, units = self.clock.now_ms, serials.units
        share, omge = divide(units)
        if share + omge >= units:
            raise ValueError(f"{units} units leave nothing after {share} for adaptation and {omge} for OMGE")
        if letter is not None:
            self.authorize(letter)
        at = serials.first
        levies = Levies(
            serials.part(at, at + share - 1),
            serials.part(at + share, at + share + omge - 1),
            serials.part(at + share + omge, serials.last),
        )
        self.book.issue(now, serials, PENDING)
        for part, kind, state, to in (
            (levies.adaptation, ChangeKind.TRANSFERRED, HoldingState.ACTIVE, ADAPTATION_FUND),
            (levies.omge, ChangeKind.CANCELLED, HoldingState.CANCELLED, OMGE),
        ):
            self.book.change(now, kind, PENDING, [part], state=state, reference=f"LEVY-{to}-{at}", to_account=to)
        self.tell()
        return levies

    def name_entry(self, entry: Entry) -> list[Fact]:
        letter = self.marks.letter_of(entry.serials)
        facts = self.facts(entry.serials, letter)
        match entry.kind:
            case ChangeKind.ISSUED if entry.to_account == PENDING:
                share, omge = divide(entry.serials.units)
                told = {"share of proceeds": str(share), "overall mitigation": str(omge)}
                return [fact._replace(facts={**fact.facts, **told}) for fact in super().name_entry(entry)]
            case ChangeKind.TRANSFERRED if entry.account == PENDING and entry.to_account != ADAPTATION_FUND:
                return [Fact("Forwarding", entry.serials, facts)]
            case ChangeKind.TRANSFERRED if entry.to_account == ADAPTATION_FUND:
                how = "Mandatory" if entry.account == PENDING else "Voluntary"
                subtype = f"{how} transfer to the Adaptation Fund (A6.4 ERs)"
                self.first(entry, letter)
                return [Fact("Transfer", entry.serials, facts | describe_action("Transfer", subtype))]
        return super().name_entry(entry)
