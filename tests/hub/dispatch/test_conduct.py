"""What India's registry says of a plant that offers too much: breaches on record, a ban that stops its link."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import Change, ChangeKind
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.icm import PLANT
from hub.dispatch.ordering import CannotOrder
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.trading import DAY_MS, SESSIONS, Market, Trader, confirmed_ms, play
from tests.node.reads.trading_world import hold_id

OTHER_DOOR = "IN-CCC-OE-CEM0042-2025-26-501-1000"
UNTIL = "debarred until 2027-09-30"


def anchors(market: Market) -> list[str]:
    said: list[Any] = [each for each in market.ledger.said if isinstance(each, op.Anchor)]
    return [each.name for each in said if each.name.startswith("breach/")]


async def breach(market: Market, trader: Trader, session: str) -> None:
    """600 at IEX through the hub, 500 at PXIL through another door, of 1,000."""
    line = await trader.block(600, session=session)
    market.offer("PXIL", session, OTHER_DOOR)
    market.move_to(confirmed_ms(session))
    await trader.poll()
    over = trader.blocking.ended[-1]
    assert (over.name, over.standing) == (line.name, "refused")
    assert "1100 offered at IEX and PXIL, 1000 free" in over.why
    assert (market.blocked_there(), await market.restricted_here()) == (0, 0)


def hold_refused(market: Market, name: str) -> str:
    hold = op.Hold(
        hold=hold_id(name),
        account="alice/icm",
        selection=op.Selection(units=10),
        purpose=op.Hold.FOR_CANCELLATION,
        expires_ms=market.world.now_ms + DAY_MS,
    )
    refusal = market.world.run("alice", hold).refusal
    return "" if refusal is None else str(refusal)


def test_three_breaches_in_a_quarter_stop_the_link_until_a_day() -> None:
    async def story(market: Market, trader: Trader) -> None:
        for number, session in enumerate(SESSIONS, start=1):
            await breach(market, trader, session)
            assert anchors(market)[-1] == f"breach/icm/{PLANT}/{session}"
            assert trader.blocking.conduct.breaches == {"icm": number}
            told = [each.text for each in trader.blocking.conduct.list_news()]
            assert f"breach {number} of the quarter: 1100 offered in the session of {session}, 1000 free" in told
            assert len(told) == number + (number == 3)
        assert trader.blocking.conduct.list_news()[-1].text == UNTIL
        assert trader.told[-1][1]["why"] == UNTIL
        (window,) = (await market.ledger.account("alice/icm")).link_windows
        assert (window.reason, window.state) == (UNTIL, op.LinkState.SUSPENDED)
        sent = len(market.registry.desk.orders)
        for hub in (trader, Trader(market)):
            with pytest.raises(CannotOrder, match=UNTIL) as refused:
                await hub.block(1, session="2027-04-28")
            assert refused.value.reason == "LINK_SUSPENDED"
        assert UNTIL in hold_refused(market, "barred")
        assert len(market.registry.desk.orders) == sent
        market.move_to(int(window.until_ms) - 1)
        assert UNTIL in hold_refused(market, "still")
        market.later(2)
        assert not hold_refused(market, "over")
        assert (await Trader(market).block(1, session="2027-10-27")).standing == "being blocked"

    play(story)


def test_what_is_heard_again_by_whomever_has_no_second_effect() -> None:
    async def story(market: Market, trader: Trader) -> None:
        for session in SESSIONS:
            await breach(market, trader, session)
        before = market.world.tip.height
        windows = (await market.ledger.account("alice/icm")).link_windows
        trader.cursor = ""
        await trader.poll()
        other = Trader(market)
        await other.poll()
        assert other.blocking.conduct.breaches == {"icm": 3}
        assert trader.blocking.conduct.breaches == {"icm": 3}
        assert len(set(anchors(market))) == 3
        assert (await market.ledger.account("alice/icm")).link_windows == windows
        assert market.world.tip.height >= before
        assert not [
            each for each in market.ledger.said if isinstance(each, op.Restrict) and "inbound" in each.restriction
        ]

    play(story)


def test_a_breaker_does_not_end_a_ban() -> None:
    async def story(market: Market, trader: Trader) -> None:
        for session in SESSIONS[:2]:
            await breach(market, trader, session)
        await trader.block(600, session=SESSIONS[2])
        market.offer("PXIL", SESSIONS[2], OTHER_DOOR)
        market.move_to(confirmed_ms(SESSIONS[2]))
        await trader.poll()
        link = trader.dispatcher.lines.see(await market.ledger.account("alice/icm"))
        lines = trader.dispatcher.lines
        market.registry.faults.add(Fault(FaultKind.HTML, times=-1))
        for _ in range(10):
            await lines.call(link, market.adapter.snapshot)
        assert link.breaker.is_open
        market.registry.faults.clear()
        for _ in range(5):
            market.later(DAY_MS // 24)
            lines.see(await market.ledger.account("alice/icm"))
            await lines.probe("icm")
        assert not link.breaker.is_open
        (window,) = (await market.ledger.account("alice/icm")).link_windows
        assert window.reason == UNTIL

    play(story)


@pytest.mark.parametrize(
    ("details", "account", "told"),
    [
        ({"event": "DEBARRED", "until": "some day"}, PLANT, ["debarred, and until when cannot be read: 'some day'"]),
        ({"event": "DEBARRED", "until": "2020-01-01"}, PLANT, ["debarred until 2020-01-01"]),
        ({"event": "DEBARRED", "until": "2027-09-30"}, "GCI-OE-ELSE", []),
        ({"event": "BANKED", "year": "2025-26"}, PLANT, []),
    ],
    ids=["no day", "over", "another's", "no breach"],
)
def test_other_words_stop_nothing(details: dict[str, str], account: str, told: list[str]) -> None:
    async def story(market: Market, trader: Trader) -> None:
        change = Change("E1", ChangeKind.NOTICE, market.world.now_ms, account=account, details=details)
        assert await trader.blocking.hear("icm", change) == bool(told)
        assert [each.text for each in trader.blocking.conduct.list_news()] == told
        assert not market.ledger.said

    play(story)
