"""Certificates from a ledger: they hold, they say what was withdrawn, and nothing in them can be changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from adapters.contract import Change, ChangeKind
from cli.audit import audit_app
from hub.certificates.gather import gather_certificates, tell_vintage
from hub.inbound.intake import Desk, Intake
from keeling.certificate import (
    Certificate,
    CertificateError,
    Origin,
    Purpose,
    Withdrawal,
    check_certificate,
    format_certificate,
    parse_certificate,
)
from keeling.certificate_page import format_page, read_page
from keeling.serials import parse
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import operations_pb2 as op
from node.export import export_cut
from tests.fakes.recorded_world import story as recorded_story
from tests.hub.dispatch.stage import DAY_MS, SERIAL, Stage, play
from tests.node.reads.trading_world import DIGEST

SERIALS = SERIAL.replace("1-10000", "1-100")


class WorldProver:
    """Proofs from a world's store, as a node makes them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def cut(self, account: str, from_ms: int, until_ms: int) -> bytes:
        world = self._stage.world
        height = world.tip.height
        return b"".join(export_cut(world.store, world.genesis, account, from_ms, until_ms, height))


async def gather(stage: Stage, hold: bytes) -> list[Certificate]:
    return await gather_certificates(stage.ledger, WorldProver(stage), stage.world.genesis.network, hold, "sandbox")


async def retire(stage: Stage, units: int = 100) -> bytes:
    hold = stage.place(units=units, first=1)
    await stage.settle(stage.hub(), hold)
    return hold


async def take_back(stage: Stage, first: int, last: int, name: str = "back") -> None:
    stage.later(2 * DAY_MS)
    intake = Intake(Desk(stage.ledger, {"puro": stage.adapter}, stage.hub(), stage.keep))
    serials = parse(SERIAL)._replace(first=first, last=last)
    await intake.take("puro", [Change(name, ChangeKind.REVERSED, stage.world.now_ms, serials, reference="undo-1")], "B")


def test_a_retirement_has_a_certificate_that_holds() -> None:
    async def story(stage: Stage) -> None:
        hold = stage.place(units=100, first=1)
        assert await gather(stage, hold) == []
        await stage.settle(stage.hub(), hold)
        (found,) = await gather(stage, hold)
        standing = check_certificate(found, stage.world.genesis_bytes)
        assert (standing.status, standing.units, standing.withdrawn_units) == ("standing", 100, 0)
        assert (found.registry, found.grade, found.ended, found.units) == ("puro", "B", "RETIRED", 100)
        assert found.reference in stage.sandbox.desk.orders
        assert [lot.serials for lot in found.lots] == [SERIALS]
        assert parse_certificate(format_certificate(found)) == found
        assert read_page(format_page(found).encode()) == found
        assert SERIALS in format_page(found)

    play(story)


@pytest.mark.parametrize(("last", "status"), [(40, "partly withdrawn"), (100, "withdrawn")])
def test_a_certificate_after_a_reversal_says_so(last: int, status: str) -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        (before,) = await gather(stage, hold)
        await take_back(stage, 1, last)
        (after,) = await gather(stage, hold)
        standing = check_certificate(after, stage.world.genesis_bytes)
        assert (standing.status, standing.withdrawn_units) == (status, last)
        assert standing.height > check_certificate(before, stage.world.genesis_bytes).height
        assert status in format_page(after)
        assert (after.event, after.lots) == (before.event, before.lots), "what was certified stays as it was"
        hidden = after._replace(withdrawals=before.withdrawals, proofs=after.proofs)
        with pytest.raises(CertificateError, match="withdrawal"):
            check_certificate(hidden, stage.world.genesis_bytes)

    play(story)


def test_two_reversals_of_one_retirement_are_both_told() -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        await take_back(stage, 1, 10, "one")
        await take_back(stage, 91, 100, "two")
        (found,) = await gather(stage, hold)
        assert check_certificate(found, stage.world.genesis_bytes).withdrawn_units == 20
        doubled = found._replace(withdrawals=(*found.withdrawals, found.withdrawals[0]))
        with pytest.raises(CertificateError, match="twice"):
            check_certificate(doubled, stage.world.genesis_bytes)

    play(story)


def test_a_withdrawal_that_a_proof_shows_cannot_be_left_out_by_any_spelling() -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        stage.later(2 * DAY_MS)
        height, _, ordinal = (await gather(stage, hold))[0].event.partition(".")
        waiting = []
        for first, last in ((1, 10), (91, 100)):  # in one block
            ranges = [op.Range(batch="corc-1", first=first, units=last - first + 1)]
            word = op.Evidence(digest=DIGEST, grade="B", reference="undo-1")
            place = {"height": int(height), "ordinal": int(ordinal)}
            back = op.Reverse(**place, ranges=ranges, reason="its mistake", evidence=word)  # type: ignore[arg-type]
            waiting.append(stage.world.submission("hub", stage.world.transaction("hub", back), approvals=["hub"]))
        stage.world.block(*waiting)
        (found,) = await gather(stage, hold)
        assert check_certificate(found, stage.world.genesis_bytes).withdrawn_units == 20
        one, two = found.withdrawals
        assert one.event.partition(".")[0] == two.event.partition(".")[0]
        for told in ((one,), (two,), ()):
            assert is_refused(found._replace(withdrawals=told), stage.world.genesis_bytes), told
        assert is_refused(
            found._replace(withdrawals=(), event=f"{height}.{int(ordinal) + 7}"), stage.world.genesis_bytes
        )

    play(story)


def test_it_speaks_of_the_heights_that_it_shows_whenever_its_proofs_were_made() -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        (found,) = await gather(stage, hold)
        shown = int(found.event.partition(".")[0])
        await take_back(stage, 1, 100)
        moment = next(each.header.time_ms for each in stage.world.blocks if each.header.height == shown)
        fresh = await WorldProver(stage).cut("alice/puro", moment, moment + 1)
        late = await WorldProver(stage).cut("alice/puro", 0, moment)
        for proofs in ((fresh,), (*found.proofs, late)):
            standing = check_certificate(found._replace(proofs=proofs), stage.world.genesis_bytes)
            assert (standing.status, standing.height) == ("standing", shown), "nothing later is in it"
            assert standing.proved_at > shown

    play(story)


def test_nothing_that_a_document_says_is_markup_in_its_page() -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        await take_back(stage, 1, 40)
        (found,) = await gather(stage, hold)
        (back,) = found.withdrawals
        nasty = back._replace(event=f"{back.event}<style>", recorded="<style>", reason="<style>", reference="<style>")
        page = format_page(found._replace(withdrawals=(nasty,)))
        assert page.count("<style>") == 1
        named = found._replace(withdrawals=(back._replace(event=back.event + "<b>"),))
        assert is_refused(named, stage.world.genesis_bytes)

    play(story)


def test_every_word_of_a_document_is_text() -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        await take_back(stage, 1, 40)
        document = format_certificate((await gather(stage, hold))[0])
        told = json.loads(document)
        words = ("grain", "grade", "ended", "event", "hold", "driver")
        bad: list[dict[str, Any]] = [{name: odd} for name in words for odd in (7, list[str](), None)]
        bad += [{"withdrawals": [told["withdrawals"][0] | {"event": 7}]}, {"lots": [told["lots"][0] | {"serials": 7}]}]
        for each in bad:
            with pytest.raises(CertificateError):
                read_page(_edit(document, **each))

    play(story)


def _more_units(found: Certificate) -> Certificate:
    return found._replace(lots=(found.lots[0]._replace(units=101),))


CHANGES: dict[str, Callable[[Certificate], Certificate]] = {
    "more units": _more_units,
    "other units": lambda c: c._replace(lots=(c.lots[0]._replace(first=2),)),
    "another reference": lambda c: c._replace(reference="mine"),
    "a better grade": lambda c: c._replace(grade="A"),
    "another beneficiary": lambda c: c._replace(beneficiary="00"),
    "another hold": lambda c: c._replace(hold="00" * 16),
    "another way to end": lambda c: c._replace(ended="CANCELLED"),
    "no way to end": lambda c: c._replace(ended="TRANSFERRED"),
    "another account": lambda c: c._replace(account="bob"),
    "another time": lambda c: c._replace(recorded="2020-01-01T00:00:00.000Z"),
    "another effective day": lambda c: c._replace(effective="2020-01-01"),
    "another height": lambda c: c._replace(event="1.0"),
    "another network": lambda c: c._replace(network="00" * 32),
    "a use it was not": lambda c: c._replace(purpose=Purpose("NDC", "2026", "", "")),
    "a use for nothing": lambda c: c._replace(purpose=Purpose("", "", "", "")),
    "no proof": lambda c: c._replace(proofs=()),
    "half a proof": lambda c: c._replace(proofs=(c.proofs[0][:-40],)),
    "another spelling of its place": lambda c: c._replace(event="0" + c.event),
    "more in its place": lambda c: c._replace(event=c.event + " by <b>me</b>"),
    "an invented withdrawal": lambda c: c._replace(withdrawals=(Withdrawal("9.9", "", "", "", c.lots),)),
}


def is_refused(found: Certificate, genesis: bytes) -> bool:
    try:
        check_certificate(found, genesis)
    except CertificateError:
        return True
    return False


def test_nothing_that_is_proved_can_be_changed() -> None:
    async def story(stage: Stage) -> None:
        (found,) = await gather(stage, await retire(stage))
        for name, change in CHANGES.items():
            assert is_refused(change(found), stage.world.genesis_bytes), name
        with pytest.raises(CertificateError, match="proof 1"):
            check_certificate(found, recorded_story().genesis_bytes)
        page = format_page(found)
        for shown in (">100 t", "standing</span>", SERIALS, "puro</dd>"):
            assert shown in page
            with pytest.raises(CertificateError):
                read_page(page.replace(shown, "x" + shown, 1).encode())

    play(story)


def test_words_from_outside_cannot_leave_their_place_in_the_page() -> None:
    async def story(stage: Stage) -> None:
        (found,) = await gather(stage, await retire(stage))
        nasty = found._replace(reference="</script><script>alert(1)</script>&amp;\\u003c")
        page = format_page(nasty)
        assert page.count("<script") == 1
        assert read_page(page.encode()) == nasty

    play(story)


def test_what_units_are_and_were_used_for_is_told_and_comes_back() -> None:
    async def story(stage: Stage) -> None:
        (found,) = await gather(stage, await retire(stage))
        assert found.origins == (Origin("corc-1", "corc", "char", "FI", found.origins[0].vintage),)
        assert found.purpose is None
        page = format_page(found)
        assert "<td>corc-1</td><td>corc</td><td>char</td><td>FI</td>" in page
        assert "Used for" not in page
        used = found._replace(ended="USED", purpose=Purpose("COMPLIANCE", "2026", "CORSIA", "AIR-1"))
        assert '<dd class="">CORSIA 2026 (COMPLIANCE), by AIR-1</dd>' in format_page(used)
        assert '<dd class="">NDC 2026</dd>' in format_page(used._replace(purpose=Purpose("NDC", "2026", "", "")))
        assert read_page(format_page(used).encode()) == used
        before = found._replace(origins=())
        assert parse_certificate(format_certificate(before)) == before, "as they were made before"
        with pytest.raises(CertificateError, match="no text"):
            parse_certificate(_edit(format_certificate(found), origins=[{"batch": 1}]))

    play(story)


@pytest.mark.parametrize(
    ("first", "last", "vintage"),
    [
        ((2023, 1, 1), (2023, 12, 31), "2023"),
        ((2020, 7, 1), (2021, 6, 30), "2020-07-01 to 2021-06-30"),
        ((2020, 1, 1), (2021, 12, 31), "2020-01-01 to 2021-12-31"),
        (None, None, ""),
    ],
)
def test_a_vintage_is_a_year_or_its_days(
    first: tuple[int, int, int] | None, last: tuple[int, int, int] | None, vintage: str
) -> None:
    batch = pb.Batch()
    for day, field in ((first, batch.vintage_start), (last, batch.vintage_end)):
        if day is not None:
            field.ms = int(datetime(*day, tzinfo=UTC).timestamp() * 1000)
            field.precision = op.When.DATE
    assert tell_vintage(batch) == vintage


def _edit(document: bytes, **changed: Any) -> bytes:
    text = json.dumps(json.loads(document) | changed, sort_keys=True, ensure_ascii=False, indent=1)
    return text.replace("<", "\\u003c").encode() + b"\n"


def test_documents_have_one_spelling() -> None:
    async def story(stage: Stage) -> None:
        (found,) = await gather(stage, await retire(stage))
        document = format_certificate(found)
        assert _edit(document) == document
        bad = [b"", b"{}", b"[1]", b"null", document[:-1], document + b" ", b"\xff", b"<html></html>"]
        bad += [_edit(document, **each) for each in ({"status": "withdrawn"}, {"units": "7"}, {"more": 1}, {"lots": 3})]
        for each in bad:
            with pytest.raises(CertificateError):
                read_page(each)

    play(story)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_else_is_refused_and_nothing_crashes(data: bytes) -> None:
    for each in (data, b"{" + data, b'{"format":"keeling/certificate/v1",' + data):
        with pytest.raises(CertificateError):
            read_page(each)


def test_the_command_tells_what_holds(tmp_path: Path) -> None:
    async def story(stage: Stage) -> None:
        hold = await retire(stage)
        (tmp_path / "genesis").write_bytes(stage.world.genesis_bytes)
        (before,) = await gather(stage, hold)
        await take_back(stage, 1, 40)
        (after,) = await gather(stage, hold)
        (tmp_path / "before.html").write_text(format_page(before))
        (tmp_path / "after.json").write_bytes(format_certificate(after))
        (tmp_path / "bad.html").write_text(format_page(before).replace("100 t", "900 t"))

    play(story)

    def run(name: str, *more: str) -> Any:
        return CliRunner().invoke(
            audit_app, ["certificate", str(tmp_path / name), "--genesis", str(tmp_path / "genesis"), *more]
        )

    done = run("before.html")
    assert (done.exit_code, "is standing at height" in done.stdout) == (0, True)
    assert "is not in it" in done.stdout
    assert "unit of measure" in done.stdout
    told = json.loads(run("after.json", "--json").stdout)
    assert (told["status"], told["withdrawn_units"], told["serials"]) == ("partly withdrawn", 40, [SERIALS])
    done = run("bad.html")
    assert done.exit_code == 4
    assert "does NOT hold" in done.stdout


@pytest.mark.parametrize(
    ("driver", "marked", "row"),
    [
        ("sandbox", "Sandbox: not a real registry.", "sandbox: not a real registry"),
        ("file", "Confirmed from a file", "a file, read by the issuer"),
        ("live", "", "its live interface"),
        ("", "", "not said"),
    ],
)
def test_a_page_says_plainly_how_the_registry_was_reached(driver: str, marked: str, row: str) -> None:
    async def story(stage: Stage) -> None:
        (found,) = await gather(stage, await retire(stage))
        assert found.driver == "sandbox"
        page = format_page(found._replace(driver=driver))
        mark, _, rest = page.partition('class="mark" role="note">')[2].partition("</p>")
        assert mark.startswith(marked)
        assert bool(mark) is bool(marked)
        assert row in (rest or page)
        assert ("(sandbox: not a real registry)</title>" in page) is (driver == "sandbox")
        assert read_page(page.encode()).driver == driver
        with pytest.raises(CertificateError):
            parse_certificate(_edit(format_certificate(found), driver="real"))

    play(story)
