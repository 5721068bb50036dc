"""The shared layer of sandboxes: a clock that moves when told, faults that come when due, books that stay true."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from adapters.capabilities import Limit
from adapters.contract import ChangeKind, HoldingState
from adapters.sandbox.book import Book, BookRefusal
from adapters.sandbox.clock import SandboxClock
from adapters.sandbox.faults import Fault, FaultKind, Faults
from adapters.sandbox.notices import Notice, sign_notice
from adapters.sandbox.puro import ACCOUNTS, PuroSandbox
from keeling.serials import SerialRange, parse

ISSUED = parse("40980b1a-cff7-4c78-9cc5-a3a2f18c7e0d_1-100")
STATES = (HoldingState.RETIRED, HoldingState.CANCELLED)


def test_what_falls_due_happens_at_its_own_time_and_in_order() -> None:
    clock, seen = SandboxClock(0), list[tuple[str, int]]()
    clock.at(20, lambda: seen.append(("b", clock.now_ms)))
    clock.at(10, lambda: (seen.append(("a", clock.now_ms)), clock.at(15, lambda: seen.append(("c", clock.now_ms)))))  # type: ignore[func-returns-value, arg-type]
    clock.advance(100)
    assert seen == [("a", 10), ("c", 15), ("b", 20)]
    assert clock.now_ms == 100
    with pytest.raises(ValueError, match="no clock goes back"):
        clock.move_to(99)


def test_a_fault_comes_where_when_and_as_often_as_it_was_set() -> None:
    faults = Faults()
    faults.add(Fault(FaultKind.HTML, "^POST", times=2, skip=1))
    kinds = (FaultKind.HTML,)
    met = [faults.take(kinds, label) is not None for label in ("GET /", "POST /", "POST /", "POST /", "POST /")]
    assert met == [False, False, True, True, False]
    assert faults.met == {FaultKind.HTML: 2}


def test_chance_is_the_same_for_the_same_seed() -> None:
    def draw(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault(FaultKind.HTML, times=-1, permille=300))
        return [faults.take((FaultKind.HTML,)) is not None for _ in range(200)]

    assert draw(1) == draw(1) != draw(2)
    assert 30 < sum(draw(1)) < 90


moves = st.lists(
    st.tuples(st.integers(1, 100), st.integers(1, 100), st.sampled_from(["end", "move", "undo", "aside"])), max_size=30
)


@given(moves)
def test_the_books_tile_the_issuance_whatever_happens(steps: list[tuple[int, int, str]]) -> None:
    book, owner = Book(), dict.fromkeys(range(1, 101), ("A", HoldingState.ACTIVE))
    book.issue(0, ISSUED, "A")
    for number, (one, other, what) in enumerate(steps):
        part, reference = ISSUED.part(min(one, other), max(one, other)), f"R{number}"
        units = range(part.first, part.last + 1)
        try:
            if what == "end":
                book.change(0, ChangeKind.RETIRED, "A", [part], state=HoldingState.RETIRED, reference=reference)
                owner |= dict.fromkeys(units, ("A", HoldingState.RETIRED))
            elif what == "move":
                book.change(
                    0,
                    ChangeKind.TRANSFERRED,
                    "A",
                    [part],
                    state=HoldingState.ACTIVE,
                    reference=reference,
                    to_account="B",
                )
                owner |= dict.fromkeys(units, ("B", HoldingState.ACTIVE))
            elif what == "aside":
                book.set_aside("A", [part])
                book.set_aside("A", [part], back=True)
            else:
                book.undo(0, f"R{one}")
        except BookRefusal:
            continue
        if what == "undo":
            owner = {n: (r.account, r.state) for r in book.rows() for n in range(r.serials.first, r.serials.last + 1)}
    rows = book.rows()
    assert [(rows[0].serials.first, rows[-1].serials.last)] == [(1, 100)]
    assert all(a.serials.last + 1 == b.serials.first for a, b in pairwise(rows))
    found = {n: (r.account, r.state) for r in rows for n in range(r.serials.first, r.serials.last + 1)}
    assert found == owner
    ended = sum(r.serials.units for r in rows if r.account == "B" or r.state in STATES)
    assert sum(book.effects().values()) == ended


def test_the_books_refuse_what_is_not_there() -> None:
    book = Book()
    book.issue(0, ISSUED, "A")
    with pytest.raises(BookRefusal, match="are not in B"):
        book.check("B", [ISSUED])
    with pytest.raises(BookRefusal, match="not all of"):
        book.check("A", [ISSUED._replace(last=101)])
    with pytest.raises(BookRefusal, match="are on the books"):
        book.issue(0, ISSUED.part(100, 100), "A")
    with pytest.raises(BookRefusal, match="are missing"):
        book.choose("A", 101)


def test_pieces_are_two_ends_of_the_first_row() -> None:
    book = Book()
    book.issue(0, ISSUED, "A")
    assert [(r.first, r.last) for r in book.choose("A", 5, pieces=2)] == [(1, 2), (98, 100)]


def test_a_notice_is_signed_as_the_specification_says() -> None:
    """The vector of Standard Webhooks 1.0.0."""
    notice = Notice("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert sign_notice(secret, notice) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_admin_side_moves_the_clock_sets_faults_and_shows_the_books() -> None:
    async def run() -> None:
        sandbox = PuroSandbox()
        sandbox.fill(10)
        base = await sandbox.start()
        async with aiohttp.ClientSession() as session:
            before = (await (await session.get(f"{base}/_admin/clock")).json())["now_ms"]
            after = await (await session.post(f"{base}/_admin/clock", json={"advance_ms": 5})).json()
            assert after["now_ms"] == before + 5
            await session.post(f"{base}/_admin/faults", json=[{"kind": "throttle", "times": 1, "value": 9}])
            throttled = await session.get(f"{base}/registry/certificates")
            assert (throttled.status, throttled.headers["Retry-After"]) == (429, "9")
            book = await (await session.get(f"{base}/_admin/book")).json()
            assert (book["effects"], len(book["holdings"]), book["requests"]) == ({}, 1, 1)
        await sandbox.stop()

    asyncio.run(run())


def test_its_own_limit_is_strict_and_says_when_to_come_back() -> None:
    class Limited(PuroSandbox):
        limits = (Limit(2, 10_000, stated=True),)

    async def run() -> None:
        sandbox = Limited()
        base = await sandbox.start()
        async with aiohttp.ClientSession() as session:
            statuses = [(await session.get(f"{base}/registry/certificates")).status for _ in range(3)]
            assert statuses == [401, 401, 429]
            sandbox.clock.advance(10_000)
            assert (await session.get(f"{base}/registry/certificates")).status == 401
        await sandbox.stop()

    asyncio.run(run())


def test_notices_arrive_signed_twice_where_they_should_and_late_ones_after_the_next() -> None:
    got: list[tuple[str, bytes]] = []
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef01234567").decode()

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        name, at = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        key = base64.b64decode(secret.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
        assert request.headers["webhook-signature"] == f"v1,{expected}"
        got.append((name, body))
        return web.Response(status=204)

    async def run() -> None:
        app = web.Application()
        app.router.add_post("/hook", receive)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sandbox = PuroSandbox()
        units = sandbox.fill(100)
        sandbox.faults.add(Fault(FaultKind.LATE_NOTICE), Fault(FaultKind.DUPLICATE_NOTICE))
        for first in (1, 11):
            retire(sandbox, units.part(first, first + 9), f"R{first}")
        sandbox.tell()
        sandbox.notices.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        sandbox.notices.secret = secret
        assert await sandbox.notices.deliver() == 3
        assert await sandbox.notices.deliver() == 0
        await runner.cleanup()

    asyncio.run(run())
    assert [name for name, _ in got] == ["msg_00000002", "msg_00000002", "msg_00000001"]


def retire(sandbox: PuroSandbox, serials: SerialRange, reference: str) -> None:
    state, kind = HoldingState.RETIRED, ChangeKind.RETIRED
    sandbox.book.change(sandbox.clock.now_ms, kind, ACCOUNTS[0], [serials], state=state, reference=reference)
