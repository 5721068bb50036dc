"""Blocks for sessions at India's registry: restricted first, sent once, found again, and freed on the registry's no."""

from __future__ import annotations

from typing import Any

import pytest

from adapters.contract import HoldingState
from adapters.sandbox.desk import OrderStatus
from adapters.sandbox.faults import Fault, FaultKind
from adapters.sandbox.icm import BUYER, PLANT
from hub.dispatch.ordering import CannotOrder
from hub.dispatch.sessions import Kind, find_prefix
from hub.ledger_client import OutcomeUnknown, make_number
from hub.restrictions import SESSION
from keeling.v1 import operations_pb2 as op
from tests.hub.dispatch.test_slow_registries import Scene, play_verra
from tests.hub.dispatch.trading import DAY_MS, MINUTE_MS, SESSIONS, SETTLING_MS, Market, Trader, confirmed_ms, play
from tests.node.reads.trading_world import hold_id

SALE = "IN-CCC-OE-CEM0042-2025-26-1-200"


async def block_600(market: Market, trader: Trader) -> None:
    """Blocked for January's session, and confirmed at 16:00."""
    await trader.block(600)
    market.move_to(confirmed_ms(SESSIONS[0]))
    await trader.settle(2)
    assert [(line.standing, line.units) for line in trader.blocking.list_orders()] == [("blocked", 600)]
    assert market.blocked_there() == 600


async def sell(market: Market, units: int = 200) -> Any:
    """The first units of January's block, in one transaction: the plant sells, the hub lets go. Why it is refused."""
    prefix = find_prefix(Kind.BLOCK, "IEX", SESSIONS[0])
    info = next(each for each in await market.listed() if each.restriction.startswith(prefix))
    ranges = [op.Range(batch="batch-1", first=1, units=units)]
    hold = op.Hold(
        hold=hold_id("sale"),
        account="alice/icm",
        selection=op.Selection(ranges=ranges),
        purpose=op.Hold.FOR_TRANSFER,
        to_account="bob/icm",
        buyer="bob",
        expires_ms=market.world.now_ms + DAY_MS,
    )
    lifted = op.Unrestrict(restriction=info.restriction, ranges=ranges, reason="sold at IEX")
    refusal = market.world.run("alice", lifted, hold, approvals=("alice", "hub")).refusal
    return None if refusal is None else refusal.reason.name


def test_units_are_nobody_elses_before_the_registry_hears_of_it() -> None:
    async def story(market: Market, trader: Trader) -> None:
        market.registry.faults.add(Fault(FaultKind.MAINTENANCE, "^POST /icm", times=-1))
        line = await trader.block(600)
        assert (line.standing, line.units, line.serials) == ("being blocked", 600, ("IN-CCC-OE-CEM0042-2025-26-1-600",))
        assert not market.registry.desk.orders
        restricted, anchor = market.ledger.said
        assert isinstance(restricted, op.Restrict)
        assert restricted.restriction == line.name.text == f"{SESSION}block/IEX/2027-01-27/{line.name.number.hex()}"
        assert isinstance(anchor, op.Anchor)
        assert await market.restricted_here() == 600
        hold = op.Hold(
            hold=hold_id("other"),
            account="alice/icm",
            selection=op.Selection(ranges=[op.Range(batch="batch-1", first=600, units=2)]),
            purpose=op.Hold.FOR_CANCELLATION,
            expires_ms=market.world.now_ms + DAY_MS,
        )
        refusal = market.world.run("alice", hold).refusal
        assert refusal is not None
        assert refusal.reason.name == "UNITS_RESTRICTED"

    play(story)


def test_two_blocks_for_more_than_is_free_the_second_is_refused_before_it_is_sent() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await trader.block(600)
        with pytest.raises(CannotOrder, match="500 units wanted, 400 are free") as few:
            await trader.block(500, exchange="PXIL")
        assert few.value.reason == "INSUFFICIENT_UNITS"
        with pytest.raises(CannotOrder, match="UNITS_RESTRICTED") as taken:
            await trader.block(serials="IN-CCC-OE-CEM0042-2025-26-501-1000", exchange="PXIL")
        assert taken.value.reason == "UNITS_RESTRICTED"
        assert len(market.registry.desk.orders) == 1
        market.move_to(confirmed_ms(SESSIONS[0]))
        await trader.settle(2)
        assert market.blocked_there() == 600
        assert not market.registry.conduct.found

    play(story)


def test_the_registrys_yes_leaves_them_blocked_also_for_a_hub_that_starts_anew() -> None:
    async def story(market: Market, trader: Trader) -> None:
        line = await trader.block(600)
        assert line.expected_ms == confirmed_ms(SESSIONS[0])
        await block_done(market, trader)
        names = {each.restriction for each in await market.listed()}
        assert names == {line.name.text}, "the registry's event restricts nothing a second time"
        for again in (trader, Trader(market)):
            await again.settle(2)
            (shown,) = again.blocking.list_orders()
            assert (shown.name, shown.standing, shown.units) == (line.name, "blocked", 600)
        asked = market.registry.requests
        await Trader(market).blocking.step()
        assert market.registry.requests == asked, "what is on record is not asked about again"

    play(story)


async def block_done(market: Market, trader: Trader) -> None:
    market.move_to(confirmed_ms(SESSIONS[0]))
    outcomes = await trader.poll()
    assert "dispatched" in outcomes
    assert "contradicted" not in outcomes


def test_what_is_let_out_is_free_again_and_the_rest_stays_blocked() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        line = await trader.unblock(250)
        assert (line.standing, line.units) == ("free again", 250)
        assert (market.blocked_there(), await market.restricted_here()) == (350, 350)
        await trader.settle(2)
        assert [(each.standing, each.units) for each in trader.blocking.list_orders()] == [("blocked", 350)]
        with pytest.raises(CannotOrder, match="400 units wanted, 350 are blocked for this session"):
            await trader.unblock(400)
        with pytest.raises(CannotOrder, match="0 are blocked"):
            await trader.unblock(1, exchange="PXIL")

    play(story)


def test_what_the_registry_does_not_let_out_stays_blocked_here() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        market.registry.faults.add(Fault(FaultKind.REFUSE, "^DESK unblock"))
        line = await trader.unblock(250)
        assert (line.standing, line.why) == ("refused", "DECLINED: declined by the registry")
        assert (market.blocked_there(), await market.restricted_here()) == (600, 600)
        again = Trader(market)
        await again.settle(2)
        assert sum(each.units for each in again.blocking.list_orders()) == 600
        assert (await again.unblock(600)).standing == "free again"
        assert (market.blocked_there(), await market.restricted_here()) == (0, 0)

    play(story)


def test_what_the_registry_blocks_in_part_is_free_for_the_rest() -> None:
    async def story(market: Market, trader: Trader) -> None:
        market.registry.faults.add(Fault(FaultKind.PARTIAL, "^DESK block", value=500))
        await trader.block(600)
        market.move_to(confirmed_ms(SESSIONS[0]))
        await trader.settle(2)
        assert (market.blocked_there(), await market.restricted_here()) == (300, 300)
        assert [(each.standing, each.units) for each in trader.blocking.ended] == [("refused", 300)]

    play(story)


def test_what_the_registry_lets_out_by_itself_is_free_again() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        await trader.unblock(serials=SALE)
        again = await trader.block(serials=SALE, session=SESSIONS[1])
        market.move_to(confirmed_ms(SESSIONS[1]))
        await trader.settle(2)
        assert await market.restricted_here() == 600
        trader.cursor = ""
        await trader.poll()
        assert await market.restricted_here() == 600, "old news of a block before this one lifts nothing"
        market.registry.acts()["unblock"]({"account": PLANT, "serials": "IN-CCC-OE-CEM0042-2025-26-101-300"})
        for hub in (trader, Trader(market)):
            await hub.settle(2)
            assert (market.blocked_there(), await market.restricted_here()) == (400, 400)
            shown = {line.name.session: line.units for line in hub.blocking.list_orders()}
            assert shown == {SESSIONS[0]: 300, again.name.session: 100}

    play(story)


def test_a_registry_whose_books_cannot_be_read_lets_nothing_out() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        market.registry.acts()["unblock"]({"account": PLANT, "serials": SALE})
        market.registry.faults.add(Fault(FaultKind.HTML, "^GET /icm/v1/holdings", times=-1))
        await trader.poll()
        assert await market.restricted_here() == 600
        market.registry.faults.clear()
        line = await trader.unblock(300)
        assert (line.standing, line.units, line.why[:10]) == ("refused", 100, "NOT_ACTIVE")
        assert (market.blocked_there(), await market.restricted_here()) == (400, 400)

    play(story)


STEPS = ("record", "registry", "end")


def break_step(market: Market, step: str, *, took_effect: bool) -> None:
    """The next time, this step fails, or works and its answer is lost."""
    if step == "registry":
        fault = FaultKind.CUT_AFTER if took_effect else FaultKind.CUT_BEFORE
        market.registry.faults.add(Fault(fault, "^POST /icm/v1/orders"))
        return

    def lose(operation: Any) -> None:
        ends = isinstance(operation, op.Anchor) or bool(operation.evidence.digest and not hasattr(operation, "account"))
        if ends == (step == "end"):
            market.ledger.before = market.ledger.after = lambda _: None
            market.broken += 1
            raise OutcomeUnknown("the line broke", b"")

    if took_effect:
        market.ledger.after = lose
    else:
        market.ledger.before = lose


async def insist(trader: Trader, number: bytes, kind: Kind) -> None:
    """Once more under the same id, whatever became of it; where the ledger does not answer it is given up."""
    try:
        await trader.order(kind, 600, number=number)
    except (OutcomeUnknown, CannotOrder):
        return


async def carry_on(market: Market, trader: Trader, rounds: int) -> None:
    """A minute's rounds; what the ledger does not answer waits for the next."""
    for _ in range(rounds):
        try:
            await trader.settle(1)
        except OutcomeUnknown:
            market.later(MINUTE_MS)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_a_block_broken_twice_blocks_once(step: str, took_effect: bool, restarted: bool) -> None:
    async def story(market: Market, trader: Trader) -> None:
        number = make_number(market.world.now_ms)
        for _ in range(2):
            break_step(market, step, took_effect=took_effect)
            await insist(trader, number, Kind.BLOCK)
            trader = Trader(market) if restarted else trader
        await insist(trader, number, Kind.BLOCK)
        await carry_on(market, trader, SETTLING_MS * 2 // MINUTE_MS + 2)
        assert await market.restricted_here() == 600
        for _ in range(2):
            if step == "end":
                break_step(market, step, took_effect=took_effect)
            market.move_to(max(market.world.now_ms, confirmed_ms(SESSIONS[0])))
            await carry_on(market, trader, 1)
            trader = Trader(market) if restarted else trader
        await carry_on(market, trader, 4)
        assert (market.blocked_there(), await market.restricted_here()) == (600, 600)
        assert [(line.standing, line.units) for line in trader.blocking.list_orders()] == [("blocked", 600)]
        orders = [each.status for each in market.registry.desk.orders.values()]
        assert orders == [OrderStatus.DONE], "it was ordered once"
        assert not market.registry.conduct.found
        assert bool(market.broken) == (step != "registry")

    play(story)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("took_effect", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_letting_out_broken_twice_lets_out_once(step: str, took_effect: bool, restarted: bool) -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        number = make_number(market.world.now_ms)
        for _ in range(2):
            break_step(market, step, took_effect=took_effect)
            await insist(trader, number, Kind.UNBLOCK)
            trader = Trader(market) if restarted else trader
        await insist(trader, number, Kind.UNBLOCK)
        await carry_on(market, trader, SETTLING_MS * 2 // MINUTE_MS + 4)
        assert (market.blocked_there(), await market.restricted_here()) == (0, 0)
        orders = [each.status for each in market.registry.desk.orders.values()]
        assert orders == [OrderStatus.DONE] * 2
        assert not trader.blocking.list_orders()
        assert bool(market.broken) == (step != "registry")

    play(story)


def test_two_hubs_given_the_same_order_send_it_once() -> None:
    async def story(market: Market, trader: Trader) -> None:
        number, other = make_number(market.world.now_ms), Trader(market)
        one = await trader.block(600, number=number)
        two = await other.block(600, number=number)
        assert one.name == two.name
        assert len(market.registry.desk.orders) == 1
        with pytest.raises(CannotOrder, match="another order has this id") as used:
            await other.block(100, number=number, exchange="PXIL")
        assert used.value.used
        market.move_to(confirmed_ms(SESSIONS[0]))
        for hub in (trader, other, trader):
            await hub.settle(2)
            assert [each.standing for each in hub.blocking.list_orders()] == ["blocked"]

    play(story)


def test_nothing_is_sent_again_before_the_registry_has_settled() -> None:
    async def story(market: Market, trader: Trader) -> None:
        market.registry.faults.add(Fault(FaultKind.CUT_BEFORE, "^POST /icm"))
        await trader.block(600)
        again = Trader(market)
        await carry_on(market, again, SETTLING_MS // MINUTE_MS - 1)
        assert not market.registry.desk.orders
        assert "may still be at it" in again.blocking.list_orders()[0].why
        await carry_on(market, again, 3)
        (order,) = market.registry.desk.orders.values()
        assert order.units == 600
        anchors: list[Any] = [each for each in market.ledger.said if isinstance(each, op.Anchor)]
        assert anchors[-1].name.endswith("/attempt/2")

    play(story)


def test_a_sale_out_of_a_block_carries_its_own_session() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        assert await sell(market) is None
        assert await market.restricted_here() == 400
        trader = Trader(market)
        await trader.settle(3)
        assert (await market.ledger.hold(hold_id("sale"))).phase == "CAPTURED"
        assert market.blocked_there() == 400
        assert market.registry.book.units(BUYER, (HoldingState.ACTIVE,)) == 200
        await trader.settle(2)
        assert [(line.standing, line.units) for line in trader.blocking.list_orders()] == [("blocked", 400)]
        with pytest.raises(CannotOrder, match="500 units wanted, 400 are blocked"):
            await trader.unblock(500)

    play(story)


def test_what_was_sold_and_given_back_is_let_out_by_its_serials() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        assert await sell(market) is None
        market.world.must("alice", op.Release(hold=hold_id("sale"), reason="the buyer cancelled"))
        assert (market.blocked_there(), await market.restricted_here()) == (600, 400)
        assert (await trader.unblock(serials=SALE)).standing == "free again"
        assert (market.blocked_there(), await market.restricted_here()) == (400, 400)

    play(story)


def test_what_is_being_let_out_cannot_be_sold_nor_let_out_again() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        market.registry.faults.add(Fault(FaultKind.MAINTENANCE, "^POST /icm", times=-1, value=1))
        line = await trader.unblock(serials=SALE)
        assert line.standing == "being let out"
        assert await sell(market) == "RESTRICTION_NOT_FOUND"
        with pytest.raises(CannotOrder, match="UNITS_RESTRICTED"):
            await trader.unblock(serials=SALE)
        assert await market.restricted_here() == 600
        market.registry.faults.clear()
        await carry_on(market, trader, 10)
        assert (market.blocked_there(), await market.restricted_here()) == (400, 400)

    play(story)


def test_what_was_sold_cannot_be_let_out() -> None:
    async def story(market: Market, trader: Trader) -> None:
        await block_600(market, trader)
        assert await sell(market) is None
        with pytest.raises(CannotOrder, match="UNITS_HELD"):
            await trader.unblock(serials=SALE)
        assert len(market.registry.desk.orders) == 1

    play(story)


def test_registries_without_blocks_are_refused_by_name() -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(CannotOrder, match="verra blocks nothing for a session"):
            await Trader(scene, "alice/verra").block(1)
        assert not scene.ledger.said

    play_verra(story)
