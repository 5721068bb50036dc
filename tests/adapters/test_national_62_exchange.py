"""A national Article 6.2 registry: the contract, and its own: recognition on both sides, files by their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.answers import ShapeError
from adapters.capabilities import Action
from adapters.contract import (
    Adapter,
    ChangeKind,
    Driver,
    NothingFound,
    Refused,
    Report,
    Settings,
    Unauthorised,
    Unavailable,
    UnsendableError,
    WrongShape,
)
from adapters.national_62 import SYSTEM, mapping
from adapters.national_62.driver import NationalAdapter
from adapters.national_62.mapping import FileNote
from adapters.sandbox.article6 import Letter
from adapters.sandbox.exchange import HUB_CODE
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.national_62 import ACCOUNT, NationalSandbox
from keeling.serials import parse
from tests.adapters.article6_stand import OTHER_SEED, open_exchange, secrets_for
from tests.adapters.exchange_stand import DAY_MS, Stand
from tests.adapters.exchange_suite import ExchangeSuite

HOUR_MS = 3_600_000
SWISS = "CHE-100-0001"
AEF = b"Action date,Action type\n2025-03-14T09:00:00.000Z,First transfer\n"


@asynccontextmanager
async def national_stand(code: str = "GHA01") -> AsyncIterator[Stand]:
    sandbox = NationalSandbox(code=code)
    units = sandbox.fill(10_000)
    known = secrets_for(sandbox)
    adapter = open_exchange(SYSTEM, Settings(await sandbox.start(), known.__getitem__))
    try:
        yield Stand(sandbox, adapter, ACCOUNT, units, lambda: sandbox.clock.advance(DAY_MS))
    finally:
        await adapter.close()
        await sandbox.stop()


class TestNational(ExchangeSuite):
    """Checked at once."""

    @asynccontextmanager
    async def stand(self) -> AsyncIterator[Stand]:
        async with national_stand() as stand:
            yield stand

    def open_adapter(self, settings: Settings) -> Adapter:
        known = secrets_for(NationalSandbox())
        return open_exchange(SYSTEM, settings._replace(secret=known.__getitem__))


def run(trial: Callable[[Stand, NationalSandbox, NationalAdapter], Awaitable[None]], code: str = "GHA01") -> None:
    async def prove() -> None:
        async with national_stand(code) as stand:
            assert isinstance(stand.sandbox, NationalSandbox)
            assert isinstance(stand.adapter, NationalAdapter)
            await trial(stand, stand.sandbox, stand.adapter)

    asyncio.run(prove())


def test_each_party_recognises_on_its_own_side_and_one_adjustment_follows() -> None:
    async def trial(stand: Stand, sandbox: NationalSandbox, adapter: NationalAdapter) -> None:
        sandbox.authorize(Letter("GHA-CHE-2024-001", "GHA", "NDC", (stand.units,)))
        lot = stand.units.part(1, 1000)
        out = stand.instruction(action=Action.TRANSFER, lots=(lot,), to_account=f"CHE01:{SWISS}", details={})
        said = await adapter.instruct(out)
        assert isinstance(said, Report)
        sandbox.clock.advance(HOUR_MS)
        sandbox.recognise("CHE", said.reference)
        told = [
            (c.details["event"], c.details.get("party"), c.details.get("side"))
            for c in (await stand.all_changes())
            if c.reference == said.reference
        ]
        assert told == [
            ("First transfer", None, None),
            ("Recognition", "GHA", "transferring"),
            ("Recognition", "CHE", "acquiring"),
        ]
        assert [(b.party, b.side, b.year, b.units) for b in sandbox.marks.booked] == [("GHA", "HOST", 2023, 1000)]

    run(trial)


def test_what_comes_in_is_acquired_and_recognised_and_adjusts_nothing_until_it_is_used() -> None:
    async def trial(stand: Stand, sandbox: NationalSandbox, adapter: NationalAdapter) -> None:
        lot = parse("CA0004-GHA01-GHA-1-2023 - CA0004-GHA01-GHA-1000-2023")
        sandbox.book.issue(sandbox.clock.now_ms, lot, "GHA01:GHA-100-0001")
        sandbox.propose("GHA0000001", "GHA01:GHA-100-0001", SWISS, (lot,))
        start = len(await stand.all_changes())
        accept = stand.instruction(action=Action.ACCEPT, lots=(lot,), answers="GHA0000001", account=SWISS, details={})
        assert isinstance(await adapter.instruct(accept), Report)
        changes = (await stand.all_changes())[start:]
        assert [(c.kind, c.details["event"], c.details.get("side")) for c in changes] == [
            (ChangeKind.TRANSFERRED, "Acquisition", None),
            (ChangeKind.NOTICE, "Recognition", "acquiring"),
        ]
        assert changes[0].details["transferring party"] == "GHA"
        assert sandbox.marks.booked == [], "there is no term for what was merely acquired"
        details = {"use_scheme": "NDC", "use_year": "2025"}
        use = stand.instruction(
            key="b7" * 16, action=Action.USE, account=SWISS, lots=(lot.part(1, 400),), details=details
        )
        await adapter.instruct(use)
        assert [(b.party, b.side, b.year, b.units) for b in sandbox.marks.booked] == [("CHE", "USER", 2025, -400)]

    run(trial, code="CHE01")


def test_plain_transfers_and_outside_letters_are_no_first_transfers() -> None:
    async def trial(stand: Stand, sandbox: NationalSandbox, adapter: NationalAdapter) -> None:
        sandbox.authorize(Letter("GHA-IMP-1", "GHA", "OIMP", (stand.units,)))
        out = stand.instruction(10, action=Action.TRANSFER, to_account="CHE01:X", details={})
        await adapter.instruct(out)
        assert [c.details["event"] for c in await stand.all_changes()][-2:] == ["Transfer", "Recognition"]
        assert sandbox.marks.booked == []

    run(trial)


def test_files_go_both_ways_by_their_bytes() -> None:
    async def trial(stand: Stand, sandbox: NationalSandbox, adapter: NationalAdapter) -> None:
        sandbox.publish("AEF GHA 2025 1.0.csv", AEF)
        taken = await adapter.hand_in_file("AEF CHE 2025 1.0.csv", AEF * 3)
        assert isinstance(taken, FileNote)
        assert await adapter.hand_in_file("AEF CHE 2025 1.0.csv", AEF * 3) == taken
        listed = await adapter.list_files()
        assert listed == (FileNote("AEF GHA 2025 1.0.csv", listed[0].sha256, len(AEF), "GHA01"), taken)  # type: ignore[union-attr]
        assert taken.given_by == HUB_CODE
        assert await adapter.fetch_file("AEF GHA 2025 1.0.csv") == AEF
        assert await adapter.fetch_file(taken.name) == AEF * 3
        assert isinstance(await adapter.fetch_file("none.csv"), NothingFound)
        other = await adapter.hand_in_file("AEF CHE 2025 1.0.csv", AEF)
        assert isinstance(other, Refused)
        assert not other.final
        news = [c.details["name"] for c in await stand.all_changes() if c.details["event"] == "AEF file"]
        assert news == ["AEF GHA 2025 1.0.csv", "AEF CHE 2025 1.0.csv"]

    run(trial)


def test_trouble_with_files_is_a_value() -> None:
    async def trial(stand: Stand, sandbox: NationalSandbox, adapter: NationalAdapter) -> None:
        for kind, expected in (
            (FaultKind.HTML, WrongShape),
            (FaultKind.THROTTLE_AS_401, Unauthorised),
            (FaultKind.MAINTENANCE, Unavailable),
        ):
            sandbox.faults.clear()
            sandbox.faults.add(Fault(kind, times=-1, value=60 if kind is FaultKind.MAINTENANCE else 0))
            calls: tuple[Any, ...] = (
                adapter.list_files(),
                adapter.fetch_file("a.csv"),
                adapter.hand_in_file("a.csv", b"x"),
            )
            for call in calls:
                assert isinstance(await call, expected)
        assert sandbox.files == {}

    run(trial)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("", b"x"),
        ("../passwd", b"x"),
        ("a" * 101, b"x"),
        ("a\n.csv", b"x"),
        ("a.csv", b""),
        ("a.csv", b"x" * (mapping.FILE_BYTES_MAX + 1)),
    ],
    ids=["no name", "a path", "a long name", "a line break", "empty", "too big"],
)
def test_what_is_no_file_is_not_sent(name: str, content: bytes) -> None:
    with pytest.raises(UnsendableError):
        mapping.compose_file(name, content, HUB_CODE, "GHA01")


@pytest.mark.parametrize(
    "changed", [{"content": "eA=="}, {"content": "é"}, {"name": "b.csv"}, {"sha256": "00" * 32}, {"content": 1}]
)
def test_a_file_without_its_digest_is_none(changed: dict[str, Any]) -> None:
    note = {
        "name": "a.csv",
        "content": "",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    }
    assert mapping.read_file(note, "a.csv") == b""
    with pytest.raises(ShapeError):
        mapping.read_file({**note, **changed}, "a.csv")


def test_only_itmos_are_kept_there() -> None:
    adapter = NationalAdapter(Driver.SANDBOX, Settings("http://127.0.0.1:9", lambda _: OTHER_SEED))

    async def trial() -> None:
        async with national_stand() as stand:
            lots = (parse("MMR-UN01-0009-2024-1-7125"),)
            with pytest.raises(UnsendableError, match="keeps ITMOs"):
                adapter.compose(stand.instruction(lots=lots))

    asyncio.run(trial())


def test_the_marks_say_what_is_assumed() -> None:
    assert SYSTEM.marks == "facts 9, assumed 7"
