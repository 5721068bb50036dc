"""docs/article64.md typed as it stands: acceptance walk 2, step 25. Only the ports differ from the page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from hub.ledger_client import LedgerClient, NotOnLedger
from tests.cli.hub_stage import HubStage

PAGE = Path(__file__).parents[2] / "docs" / "article64.md"
BATCH, SENT = "a64er:99-2024", "019a0000-0000-7000-8000-0000000000d1"
AT = "unassigned@unfccc"


def wait_for_lots(stage: HubStage, *wanted: tuple[int, str, str]) -> None:
    """Until the batch is cut just so: units, state, account."""

    async def seen(ledger: LedgerClient) -> bool:
        try:
            lots = await ledger.lots(batch=BATCH)
        except NotOnLedger:
            return False
        ordered = sorted(lots, key=lambda lot: lot.range.first)
        return [(lot.range.units, lot.state, lot.account) for lot in ordered] == list(wanted)

    stage.wait(seen)


def wait_for_block(stage: HubStage) -> None:
    """Until the hub has laid what the registry's restriction asks for."""

    async def seen(ledger: LedgerClient) -> bool:
        return bool(await ledger.restrictions("gh", "inbound/block/"))

    stage.wait(seen)


def told(stage: HubStage, beginning: str) -> str:
    """What the last line so typed said."""
    return [ended.out for line, ended in stage.said.items() if line.startswith(beginning)][-1]


def test_from_issuance_to_a_revoked_letter(stage: HubStage) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for block in blocks[:4]:
        stage.type(block)
    levied = (357, "FREE", AT), (143, "CANCELLED", AT)
    wait_for_lots(stage, *levied, (6625, "PENDING", AT))
    stage.type(blocks[4])
    wait_for_lots(stage, *levied, (1000, "FREE", AT), (5625, "PENDING", AT))
    stage.type(blocks[5])
    assert re.search(r"agreed +1,000 ", told(stage, "keeling hub reconcile"))
    stage.type(blocks[6])
    stage.wait_for_phase(SENT, "INSTRUCTED")
    stage.type(blocks[7])
    assert re.search(r"^2024 +0 +0 ", told(stage, "keeling adjust balance GHA --year 2024"), re.MULTILINE)
    stage.wait_for_phase(SENT, "CAPTURED")
    wait_for_lots(stage, *levied, (400, "FREE", "ch"), (600, "FREE", "gh"), (5625, "PENDING", AT))
    stage.type(blocks[8])
    assert re.search(r"GHA-2024-FT-\S+ +host +400 ", told(stage, "keeling adjust balance GHA --year 2024 --details"))
    stage.type(blocks[9])
    wait_for_block(stage)
    stage.type(blocks[10])
    assert re.search(r"gh +\S+ +T_CO2E +unfccc custody +0 +0 +0 +600 ", told(stage, "keeling available --account gh"))
    assert re.search(r"ch +\S+ +T_CO2E +unfccc custody +400 +0 ", told(stage, "keeling available --account ch"))
    assert re.search(r"agreed +1,000 ", told(stage, "keeling hub reconcile"))
    check_reading_again(stage)


def check_reading_again(stage: HubStage) -> None:
    """The hub is killed, its folder is deleted, and a new one reads everything from the first event."""
    counts: list[int] = []

    async def count(ledger: LedgerClient) -> bool:
        counts.append(sum([len(page.events) async for page in ledger.watch(None, until_now=True)]))
        return True

    assert stage.hub is not None
    stage.hub.kill()
    stage.wait(count)
    shutil.rmtree(stage.keeling.root / "hub")
    stage.start_hub()
    cursor = stage.keeling.root / "hub" / "cursors" / "unfccc"
    while not cursor.exists():
        stage.keeling.must("hub", "waiting")
    assert "nothing waits" in stage.keeling.must("hub", "waiting").out
    stage.wait(count)
    assert counts[0] == counts[1], "nothing new was said"
