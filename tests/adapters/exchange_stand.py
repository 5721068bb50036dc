"""An adapter before its sandbox, with what the suite asks of the two; used by `exchange_suite` and beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import strategies as st

from adapters.capabilities import Action
from adapters.contract import Adapter, Answer, Change, Changes, Found, Holding, Holdings, Instruction, Question, Report
from adapters.sandbox.server import Sandbox
from keeling.serials import SerialRange

DAY_MS = 86_400_000
DETAILS = {"beneficiary": "Asha Textiles", "purpose": "DISCLOSURE"}


class Stand(NamedTuple):
    """An open adapter before its running sandbox, with units to work on."""

    sandbox: Sandbox
    adapter: Adapter
    account: str
    units: SerialRange
    """Active units of the account: at least 1,000, from the start of a block."""
    settle: Callable[[], None]
    """Move the sandbox's clock so far that everything is decided and visible."""
    to_account: str = ""

    def instruction(self, units: int = 100, key: str = "a1" * 16, skip: int = 0, **changed: Any) -> Instruction:
        first = self.units.first + skip
        lots = (self.units.part(first, first + units - 1),)
        return Instruction(key, Action.RETIRE, self.account, lots, details=DETAILS)._replace(**changed)

    def question(self, instruction: Instruction, answer: Answer | None = None) -> Question:
        references = (answer.reference,) if isinstance(answer, Report) and answer.reference else ()
        return Question(instruction, references, self.sandbox.clock.now_ms - 60_000)

    async def ask(self, instruction: Instruction, answer: Answer | None = None) -> Found:
        return await self.adapter.ask(self.question(instruction, answer))

    async def all_changes(self, cursor: str = "") -> list[Change]:
        found: list[Change] = []
        while True:
            page = await self.adapter.changes(cursor)
            assert isinstance(page, Changes), page
            found += page.items
            cursor = page.cursor
            if not page.more:
                return found

    async def all_holdings(self) -> list[Holding]:
        found: list[Holding] = []
        page = ""
        while True:
            holdings = await self.adapter.snapshot(page)
            assert isinstance(holdings, Holdings), holdings
            found += holdings.rows
            page = holdings.next_page
            if not page:
                return found


async def instruct_and_settle(stand: Stand, units: int = 100) -> Report:
    """Send one instruction, let everything be decided, and return the registry's report of it."""
    instruction = stand.instruction(units)
    answer = await stand.adapter.instruct(instruction)
    assert isinstance(answer, Report), answer
    stand.settle()
    found = await stand.ask(instruction, answer)
    assert isinstance(found, Report), found
    return found


def ended_units(stand: Stand) -> int:
    """Units that really left the account or ended, by the sandbox's own books."""
    return sum(stand.sandbox.book.effects().values())


def any_json() -> st.SearchStrategy[Any]:
    """JSON of any shape, often with names that registries use."""
    names = st.sampled_from(
        ["data", "pagination", "total", "offset", "limit", "status", "type", "id", "volume", "items"]
    )
    leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just("Retirement")
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=5), inner, max_size=4),
        max_leaves=10,
    )


def dump(value: Any) -> bytes:
    return json.dumps(value).encode()
