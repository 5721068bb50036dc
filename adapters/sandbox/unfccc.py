"""A sandbox of the UNFCCC's registries: issuance and levies, letters, first transfers, adjustments. Not the real one.

What is said and how is in `exchange`; where the published texts are silent, `adapters.unfccc.basis` says what was
assumed.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.article6 import Letter, Marks, intersect, read_host, subtract
from adapters.sandbox.book import Entry
from adapters.sandbox.exchange import ExchangeSandbox, Fact
from adapters.unfccc.mapping import ADAPTATION_FUND, CODE
from keeling.serials import SerialRange, parse

PENDING: Final = "PENDING"
HOLDING: Final = "MMR-AP-0001"
OMGE: Final = "OMGE-CANCELLATION"
_SHARE_PERCENT: Final = 5
_OMGE_PERCENT: Final = 2


class Levies(NamedTuple):
    """How an issuance was divided: the adaptation share, overall mitigation, and the rest."""

    adaptation: SerialRange
    omge: SerialRange
    rest: SerialRange


class UnfcccSandbox(ExchangeSandbox):
    """The Article 6.4 mechanism registry with the international registry behind it."""

    name = "unfccc"
    code = CODE

    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self.marks: Final = Marks()

    def fill(self, units: int = 1_000_000, account: str = HOLDING, activity: str = "0007") -> SerialRange:
        """Issue units straight to an account."""
        serials = parse(f"MMR-{CODE}-{activity}-2024-1-{units}")
        self.book.issue(self.clock.now_ms, serials, account)
        return serials

    def issue(self, serials: SerialRange, letter: Letter | None = None) -> Levies:
        """Issue to the pending account and take 5 % and at least 2 %, both rounded up; raises `ValueError`."""
        now, units = self.clock.now_ms, serials.units
        share, omge = -(-units * _SHARE_PERCENT // 100), -(-units * _OMGE_PERCENT // 100)
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

    def authorize(self, letter: Letter) -> None:
        """A host's letter: what it covers is authorized from now on."""
        self.marks.letters[letter.id] = letter
        for part in letter.covers:
            self.announce("Authorization", part, self._facts(part, letter))
            if letter.oimp_first == "Authorisation" and letter.purpose != "NDC":
                self.marks.first_transfer(part, letter.id)

    def revoke(self, letter_id: str) -> list[SerialRange]:
        """Revoke a letter: active units that were not first transferred are restricted; returns them."""
        letter = self.marks.letters[letter_id]._replace(revoked_ms=self.clock.now_ms)
        self.marks.letters[letter_id] = letter
        restricted = []
        for part in letter.covers:
            self.announce("Authorization revoked", part, self._facts(part, letter))
            for free in subtract(part, self.marks.transferred):
                for row in self.book.touch(free):
                    if row.state == HoldingState.ACTIVE:
                        restricted.append(row.serials)
                        kind, state = ChangeKind.BLOCKED, HoldingState.BLOCKED
                        now = self.clock.now_ms
                        self.book.change(now, kind, row.account, [row.serials], state=state, reference=letter_id)
        self.tell()
        return restricted

    def recognise(self, party: str, reference: str) -> None:
        """A Party announces a transfer on its own side. Two announcements are two facts; they adjust nothing."""
        order = self.desk.orders[reference]
        for part in order.done:
            host, _ = read_host(part)
            side = "transferring" if party == host else "acquiring"
            facts = self._facts(part, self.marks.letter_of(part)) | {"party": party, "side": side}
            self.announce("Recognition", part, facts, order=order)

    def name_entry(self, entry: Entry) -> list[Fact]:
        letter = self.marks.letter_of(entry.serials)
        facts = self._facts(entry.serials, letter)
        match entry.kind:
            case ChangeKind.TRANSFERRED if entry.account == PENDING and entry.to_account != ADAPTATION_FUND:
                return [Fact("Forwarding", entry.serials, facts)]
            case ChangeKind.TRANSFERRED if entry.to_account == ADAPTATION_FUND:
                how = "Mandatory" if entry.account == PENDING else "Voluntary"
                subtype = f"{how} transfer to the Adaptation Fund (A6.4 ERs)"
                self._first(entry, letter)
                return [Fact("Transfer", entry.serials, facts | _action("Transfer", subtype))]
            case ChangeKind.TRANSFERRED if ":" in entry.to_account:
                return self._name_transfer(entry, letter)
            case ChangeKind.CANCELLED | ChangeKind.USED | ChangeKind.RETIRED:
                return [self._name_end(entry, letter, facts)]
        return [fact._replace(facts=facts) for fact in super().name_entry(entry)]

    def _name_transfer(self, entry: Entry, letter: Letter | None) -> list[Fact]:
        """A transfer to another Party: what was never transferred is first transferred now, the rest is a transfer."""
        fresh = self._first(entry, letter)
        acquirer = entry.to_account[:3]
        found = []
        for event, parts in (("First transfer", fresh), ("Transfer", subtract(entry.serials, fresh))):
            subtype = "First transfer to another Party" if event == "First transfer" else "Not yet defined"
            for part in parts:
                facts = self._facts(part, letter) | _action(event, subtype) | {"acquiring party": acquirer}
                found.append(Fact(event, part, facts))
        return sorted(found, key=lambda fact: fact.serials.first)

    def _name_end(self, entry: Entry, letter: Letter | None, facts: dict[str, str]) -> Fact:
        order = self.desk.orders.get(entry.reference)
        said = dict(order.said) if order is not None else {}
        names = {ChangeKind.CANCELLED: "Cancellation", ChangeKind.USED: "Use", ChangeKind.RETIRED: "Retirement"}
        action = said.get("action type", "Cancellation")
        subtype = said.get("action subtype", "Mandatory cancellation to deliver OMGE" if order is None else "")
        outside = letter is not None and letter.purpose != "NDC" and said.get("purpose") != "NDC"
        by_ending = order is not None and outside and letter is not None and letter.oimp_first == "Use or Cancellation"
        if (by_ending or order is None) and self._first(entry, letter) and by_ending:
            action, subtype = "First transfer", "Use or cancellation"
        if said.get("purpose") == "NDC" and order is not None:
            self.marks.use(
                said.get("party", entry.account[:3]), int(said["use year"]), entry.serials.units, entry.reference
            )
        kept = {name: said[name] for name in ("purpose", "use year") if said.get(name)}
        return Fact(names[entry.kind], entry.serials, facts | _action(action, subtype) | kept)

    def _first(self, entry: Entry, letter: Letter | None) -> list[SerialRange]:
        """Only authorized units are ever first transferred."""
        if letter is None:
            return []
        fresh = []
        for part in intersect(entry.serials, letter.covers):
            fresh += self.marks.first_transfer(part, entry.reference)
        return fresh

    def _facts(self, serials: SerialRange, letter: Letter | None) -> dict[str, str]:
        host, vintage = read_host(serials)
        facts = {"first transferring party": host, "vintage": str(vintage), "units": str(serials.units)}
        if letter is None:
            return facts
        return facts | {"authorization": letter.id, "purpose authorized": letter.purpose}


def _action(kind: str, subtype: str) -> dict[str, str]:
    return {"action type": kind} | ({"action subtype": subtype} if subtype else {})
