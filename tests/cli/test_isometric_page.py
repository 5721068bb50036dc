"""The section of docs/hub.md on Isometric typed as it stands: acceptance walk 2, step 10. Only the ports differ."""

from __future__ import annotations

from keeling.certificate_page import read_page
from tests.cli.hub_stage import HubStage, read_blocks

HOLD = "019a0000-0000-7000-8000-0000000000c1"


def test_an_answer_that_is_lost_after_the_effect_is_found(stage: HubStage) -> None:
    *before, seen = read_blocks(section="Isometric")
    for block in before:
        stage.type(block)
    stage.wait_for_phase(HOLD, "CAPTURED")
    assert "nothing goes wrong" in stage.keeling.must("hub", "sandbox", "fault", "isometric").out, "the fault has come"
    stage.type(seen)
    book = stage.admin("puro", "book")  # the one sandbox at the first port
    assert book["effects"] == {HOLD.replace("-", ""): 1_500}
    assert [(order["units"], order["status"]) for order in book["orders"]] == [(1_500, "done")]
    page = read_page((stage.keeling.root / "certificates" / f"{HOLD}.json").read_bytes())
    assert (page.units, page.grade, page.reference) == (1_500, "B", book["orders"][0]["reference"])
    assert stage.said["keeling hub reconcile isometric"].out.count("agreed") == 1
