"""The UNFCCC's registries: the contract, and what is their own: acknowledgement apart from decision, levies, first
transfers once, letters revoked after them, announcements by both Parties, signatures."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    Change,
    ChangeKind,
    Changes,
    Holdings,
    HoldingState,
    NothingFound,
    Refused,
    Report,
    Settings,
    UnsendableError,
    WrongShape,
)
from adapters.des.driver import check_envelope
from adapters.des.signing import read_signing_key, seal
from adapters.sandbox.article6 import Letter
from adapters.sandbox.exchange import HUB_SEED, SWEEP_MS
from adapters.sandbox.exchange_values import Acquirer
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.unfccc import HOLDING, OMGE, UnfcccSandbox
from adapters.unfccc import SYSTEM
from adapters.unfccc.mapping import ADAPTATION_FUND, PENDING
from adapters.web import format_json
from keeling.serials import SerialRange, parse
from tests.adapters.article6_stand import open_exchange, secrets_for
from tests.adapters.exchange_stand import DAY_MS, Stand, ended_units
from tests.adapters.exchange_suite import ExchangeSuite

HOUR_MS = 3_600_000
ISSUE = parse("MMR-UN01-0009-2024-1-7125")
LETTER = Letter("MMR-KOR-2025-001", "MMR", "NDC", (ISSUE,))


@asynccontextmanager
async def unfccc_stand(check_ms: int = 0, acquirer_ms: int = 0) -> AsyncIterator[Stand]:
    sandbox = UnfcccSandbox(check_ms=check_ms, acquirer_ms=acquirer_ms)
    units = sandbox.fill(10_000)
    known = secrets_for(sandbox)
    adapter = open_exchange(SYSTEM, Settings(await sandbox.start(), known.__getitem__))
    try:
        yield Stand(sandbox, adapter, HOLDING, units, lambda: sandbox.clock.advance(DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


class TestUnfccc(ExchangeSuite):
    """Checked at once; what was decided is told apart all the same."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with unfccc_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        known = secrets_for(UnfcccSandbox())
        return open_exchange(SYSTEM, settings._replace(secret=known.__getitem__))


class TestUnfcccWithDelay(TestUnfccc):
    """Checked an hour later."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with unfccc_stand(check_ms=HOUR_MS) as stand:
            yield stand


def run(trial: Callable[[Stand, UnfcccSandbox], Awaitable[None]], **delays: int) -> None:
    async def prove() -> None:
        async with unfccc_stand(**delays) as stand:
            assert isinstance(stand.sandbox, UnfcccSandbox)
            await trial(stand, stand.sandbox)

    asyncio.run(prove())


def transfer(stand: Stand, lot: SerialRange, to: str, key: str = "c3" * 16, account: str = HOLDING) -> Any:
    return stand.instruction(key=key, action=Action.TRANSFER, account=account, lots=(lot,), to_account=to, details={})


def test_a_message_is_accepted_long_before_its_transaction_is_decided() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        instruction = transfer(stand, stand.units.part(1, 400), "KOR01:ETS-1")
        said = await stand.adapter.instruct(instruction)
        assert isinstance(said, Report)
        assert (said.done, said.pending_units, said.reason) == ((), 400, "message accepted, transaction not decided")
        assert said.due_ms == sandbox.clock.now_ms + 3 * HOUR_MS
        steps = []
        for hours in (0, 1, 2):
            sandbox.clock.advance(hours * HOUR_MS)
            found = await stand.ask(instruction, said)
            assert isinstance(found, Report)
            steps.append((found.reason, found.done_units, found.reference == said.reference))
        assert steps == [
            ("status 1 proposed", 0, True),
            ("status 2 checked", 0, True),
            ("status 4 completed", 400, True),
        ]

    run(trial, check_ms=HOUR_MS, acquirer_ms=2 * HOUR_MS)


def test_issuance_arrives_with_its_levies_and_is_forwarded_by_instruction() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        start = len(await stand.all_changes())
        levies = sandbox.issue(ISSUE, LETTER)
        assert [part.units for part in levies] == [357, 143, 6625]
        answer = await stand.adapter.instruct(transfer(stand, levies.rest, HOLDING, account=PENDING))
        assert isinstance(answer, Report)
        changes = (await stand.all_changes())[start:]
        told = [
            (c.details["event"], c.details.get("action subtype", ""), c.serials and c.serials.units) for c in changes
        ]
        assert told == [
            ("Authorization", "", 7125),
            ("Issuance", "", 7125),
            ("Transfer", "Mandatory transfer to the Adaptation Fund (A6.4 ERs)", 357),
            ("Cancellation", "Mandatory cancellation to deliver OMGE", 143),
            ("Forwarding", "", 6625),
        ]
        assert sandbox.book.units(ADAPTATION_FUND) == 357
        assert sandbox.book.units(OMGE) == 143
        assert sandbox.book.units(PENDING) == 0
        assert sandbox.marks.total("MMR", 2024) == 500, "the levied units are first transferred, forwarding is not"

    run(trial)


@pytest.mark.parametrize("gross", [1, 2])
def test_levies_never_take_everything(gross: int) -> None:
    with pytest.raises(ValueError, match="leave nothing"):
        UnfcccSandbox().issue(ISSUE.part(1, gross))


def test_a_unit_is_first_transferred_once_and_its_host_adds_it_in_the_vintage_year() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.authorize(LETTER._replace(covers=(stand.units,)))
        start = len(await stand.all_changes())
        await stand.adapter.instruct(transfer(stand, stand.units.part(101, 200), "KOR01:ETS-1", "d1" * 16))
        sandbox.desk.undo(next(iter(sandbox.desk.orders)))
        await stand.adapter.instruct(transfer(stand, stand.units.part(1, 300), "CHE01:CH-1", "d2" * 16))
        told = [
            (c.details["event"], c.serials and (c.serials.first, c.serials.last), c.details.get("acquiring party"))
            for c in (await stand.all_changes())[start:]
        ]
        assert told == [
            ("First transfer", (101, 200), "KOR"),
            ("Reversal", (101, 200), None),
            ("First transfer", (1, 100), "CHE"),
            ("Transfer", (101, 200), "CHE"),
            ("First transfer", (201, 300), "CHE"),
        ]
        assert sandbox.marks.total("MMR", 2024) == 300

    run(trial)


def test_a_letter_revoked_after_first_transfer_restricts_only_the_rest() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.authorize(LETTER._replace(covers=(stand.units,)))
        await stand.adapter.instruct(transfer(stand, stand.units.part(1, 4000), "KOR01:ETS-1"))
        start = len(await stand.all_changes())
        restricted = sandbox.revoke(LETTER.id)
        assert [(part.first, part.last) for part in restricted] == [(4001, 10_000)]
        changes = (await stand.all_changes())[start:]
        assert [(c.kind, c.details["event"], c.serials and c.serials.first) for c in changes] == [
            (ChangeKind.NOTICE, "Authorization revoked", 1),
            (ChangeKind.BLOCKED, "Restriction", 4001),
        ]
        assert sandbox.marks.total("MMR", 2024) == 4000, "what was first transferred stays adjusted"
        later = transfer(stand, stand.units.part(5000, 5100), "KOR01:ETS-1", "e4" * 16)
        await stand.adapter.instruct(later)
        no = await stand.ask(later)
        assert isinstance(no, Refused)
        assert no.final
        assert "NOT_ACTIVE" in no.reason

    run(trial)


def test_one_transfer_announced_by_both_parties_is_two_recognitions_and_one_adjustment() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.authorize(LETTER._replace(covers=(stand.units,)))
        said = await stand.adapter.instruct(transfer(stand, stand.units.part(1, 1000), "KOR01:ETS-1"))
        assert isinstance(said, Report)
        sandbox.recognise("MMR", said.reference)
        sandbox.clock.advance(HOUR_MS)
        sandbox.recognise("KOR", said.reference)
        changes = await stand.all_changes()
        seen = [c for c in changes if c.details["event"] == "Recognition"]
        assert [(c.details["party"], c.details["side"]) for c in seen] == [
            ("MMR", "transferring"),
            ("KOR", "acquiring"),
        ]
        assert seen[1].at_ms - seen[0].at_ms == HOUR_MS
        assert {c.reference for c in seen} == {said.reference}
        assert sum(1 for c in changes if c.details["event"] == "First transfer") == 1
        assert [each.units for each in sandbox.marks.booked] == [1000]

    run(trial)


@pytest.mark.parametrize(
    ("purpose", "details", "host", "user", "action"),
    [
        ("NDC", {"use_scheme": "NDC", "use_year": "2026"}, 0, -50, "Use"),
        ("OIMP", {"use_scheme": "CORSIA"}, 50, 0, "First transfer"),
    ],
)
def test_use_adjusts_the_user_and_where_the_letter_says_so_is_itself_the_first_transfer(
    purpose: str, details: dict[str, str], host: int, user: int, action: str
) -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.authorize(LETTER._replace(covers=(stand.units,), purpose=purpose))
        instruction = stand.instruction(50, action=Action.USE, details=details)
        await stand.adapter.instruct(instruction)
        event = (await stand.all_changes())[-1]
        assert (event.kind, event.details["action type"]) == (ChangeKind.USED, action)
        assert sandbox.marks.total("MMR", 2024) == host
        assert sandbox.marks.total("MMR", 2026) == user

    run(trial)


@pytest.mark.parametrize(
    ("acquirer", "words", "status"),
    [(Acquirer.REJECTS, "the acquiring registry rejected it", 6), (Acquirer.SILENT, "not final after 24 hours", 7)],
)
def test_a_transfer_the_other_registry_does_not_take_stays_here(acquirer: Acquirer, words: str, status: int) -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.acquirer = acquirer
        instruction = transfer(stand, stand.units.part(1, 10), "KOR01:ETS-1")
        said = await stand.adapter.instruct(instruction)
        assert sandbox.book.units(HOLDING, (HoldingState.BLOCKED,)) == 10, "reserved while it waits"
        sandbox.clock.advance(SWEEP_MS)
        no = await stand.ask(instruction, said)
        assert isinstance(no, Refused)
        assert (no.final, no.reason) == (True, f"4001 {words}")
        told = check_envelope(no.evidence, sandbox.public_key)
        assert told["transactions"][0]["transactionStatus"] == status
        assert sandbox.book.units(HOLDING, (HoldingState.ACTIVE,)) == 10_000
        assert ended_units(stand) == 0

    run(trial, check_ms=HOUR_MS)


@pytest.mark.parametrize("accept", [True, False])
def test_what_another_registry_proposes_is_accepted_or_declined_once(accept: bool) -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        lot = parse("MMR-UN01-0011-2024-1-500")
        sandbox.book.issue(sandbox.clock.now_ms, lot, "KOR01:ETS-1")
        sandbox.propose("KOR-77", "KOR01:ETS-1", HOLDING, (lot,))
        proposed = (await stand.all_changes())[-1]
        assert (proposed.kind, proposed.key, proposed.to_account) == (ChangeKind.PROPOSED, "KOR-77", HOLDING)
        action, other = (Action.ACCEPT, Action.DECLINE) if accept else (Action.DECLINE, Action.ACCEPT)
        answer = stand.instruction(action=action, lots=(lot,), answers=proposed.key, details={})
        assert isinstance(await stand.ask(answer), NothingFound)
        assert isinstance(await stand.adapter.instruct(answer), Report)
        found = await stand.ask(answer)
        assert isinstance(found, Report)
        assert found.done_units == 500
        assert sandbox.book.units(HOLDING) == 10_000 + (500 if accept else 0)
        again = await stand.adapter.instruct(answer._replace(key="f0" * 16, action=other))
        assert isinstance(again, Refused)
        assert not again.final

    run(trial)


def test_one_identifier_with_another_body_is_not_taken() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        await stand.adapter.instruct(stand.instruction(10))
        no = await stand.adapter.instruct(stand.instruction(11))
        assert isinstance(no, Refused)
        assert not no.final
        assert "3001" in no.reason
        assert ended_units(stand) == 10

    run(trial)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"action": Action.TRANSFER}, "names the account it goes to"),
        ({"action": Action.USE, "details": {}}, "says for what"),
        ({"action": Action.USE, "details": {"use_scheme": "NDC"}}, "names its calendar year"),
        ({"action": Action.CANCEL, "details": {"subtype": "for fun"}}, "'for fun'"),
        ({"action": Action.ACCEPT}, "names the transaction it answers"),
        ({"key": "k" * 65}, "1 to 64"),
        ({"account": ""}, "the account the units are in"),
        ({"lots": (parse("GS1-1-KE-GS7495-16-2025-30645-608-30350"),)}, "no other units"),
    ],
)
def test_what_no_message_can_say(changed: dict[str, Any], words: str) -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        with pytest.raises(UnsendableError, match=words):
            stand.adapter.compose(stand.instruction(**changed))

    run(trial)


def test_a_page_that_skips_or_repeats_is_no_page() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        for number in range(210):
            sandbox.announce("Authorization", None, {"number": str(number)})
        first = await stand.adapter.changes("")
        assert isinstance(first, Changes)
        assert (len(first.items), first.cursor, first.more) == (200, "200", True)
        beyond = await stand.adapter.changes("5000")
        assert isinstance(beyond, WrongShape), "a log shorter than what was read of it has lost events"
        assert isinstance(await stand.adapter.snapshot("5000"), WrongShape)
        page = await stand.adapter.snapshot()
        assert isinstance(page, Holdings)
        assert page.stated_units == 10_000

    run(trial)


def test_stale_reads_show_the_books_as_they_were() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.faults.add(Fault(FaultKind.STALE, "GET", times=-1, value=DAY_MS))
        instruction = stand.instruction(10)
        await stand.adapter.instruct(instruction)
        assert isinstance(await stand.ask(instruction), NothingFound)

    run(trial)


def test_a_notice_is_the_signed_event_of_the_log() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        sandbox.issue(ISSUE, LETTER)
        listed = await stand.all_changes()
        read: list[Change] = []
        for notice in sandbox.notices.waiting:
            found = stand.adapter.read_notice(notice.body)
            assert not isinstance(found, WrongShape)
            read += found
        assert read == listed
        forged = format_json({"data": seal({"eventType": "Issuance"}, read_signing_key(HUB_SEED))})
        assert isinstance(stand.adapter.read_notice(forged), WrongShape)

    run(trial)


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 12, assumed 13"
