"""True answers of a sandbox with a few things wrong, as an adapter's parsers would meet them on a bad day.

Where answers are signed they are spoilt before they are signed, so that what reads them is reached at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from itertools import pairwise
from typing import Any

from adapters.contract import Changes, Found, Holdings, Instruction, Question, Refused, Report, WrongShape
from adapters.sandbox import exchange
from adapters.sandbox.exchange import ExchangeSandbox
from adapters.web import Line, Reply
from tests.adapters.exchange_stand import Stand

SPITE: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    10**30,
    "",
    "x",
    "\ud800",
    "2026-13-45",
    "1e999",
    [],
    {},
    [None],
    {"": None},
    "9" * 400,
)


def spoil(value: Any, chance: random.Random) -> Any:
    """A copy of JSON with one to three values replaced, removed, doubled, or put in another's place."""
    copy = deepcopy(value)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(copy))
        if not places:
            return chance.choice(SPITE)
        inside, name = chance.choice(places)
        match chance.randrange(4):
            case 0:
                inside[name] = chance.choice(SPITE)
            case 1:
                del inside[name]
            case 2 if isinstance(inside, list):
                inside.append(inside[name])
            case 2 if isinstance(inside[name], int):
                inside[name] += chance.choice((-1, 1))
            case _:
                other, there = chance.choice(places)
                if there in (other if isinstance(other, dict) else range(len(other))):
                    inside[name] = deepcopy(other[there])
    return copy


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for name in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, name
        yield from _places(value[name])


@contextmanager
def spoiling(stand: Stand, chance: random.Random) -> Iterator[None]:
    """All answers of this sandbox, or of any where they are not signed, while it lasts."""
    if isinstance(stand.sandbox, ExchangeSandbox):
        seal = vars(exchange)["seal"]
        setattr(exchange, "seal", lambda message, key: seal(_dict(spoil(message, chance)), key))  # noqa: B010
        try:
            yield
        finally:
            setattr(exchange, "seal", seal)  # noqa: B010
        return
    call: Callable[..., Any] = Line._call

    async def lie(*arguments: Any) -> Any:
        reply = await call(*arguments)
        if not isinstance(reply, Reply) or reply.json is None:
            return reply
        told = spoil(reply.json, chance)
        return reply._replace(json=told, body=json.dumps(told, default=str).encode())

    Line._call = lie  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        Line._call = call  # type: ignore[method-assign]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"message": value}


async def meet_spoilt(stand: Stand, seeds: range) -> int:
    """Ask everything of an adapter again and again; returns how many answers were refused as wrongly shaped."""
    told = stand.instruction(100)
    said = await stand.adapter.instruct(told)
    stand.settle()
    refused = 0
    for seed in seeds:
        chance = random.Random(seed)
        fresh = stand.instruction(10, f"{seed:032x}", skip=100 + 10 * (seed % 80))
        with spoiling(stand, chance):
            answers: list[tuple[Instruction, Any]] = [
                (told, await stand.adapter.ask(stand.question(told, said))),
                (told, await stand.adapter.ask(Question(told, (), stand.sandbox.clock.now_ms - 60_000))),
                (fresh, await stand.adapter.instruct(fresh)),
            ]
            lists = [await stand.adapter.changes(""), await stand.adapter.snapshot()]
        for asked, answer in answers:
            check_total(asked, answer)
        refused += sum(isinstance(each, WrongShape) for each in (*lists, *(answer for _, answer in answers)))
        for each in lists:
            assert not isinstance(each, Changes) or all(item.id for item in each.items) or not each.items
            assert not isinstance(each, Holdings) or all(row.serials.units > 0 for row in each.rows)
        for notice in stand.sandbox.notices.waiting[:3]:
            body = json.dumps(spoil(json.loads(notice.body), chance)).encode()
            assert isinstance(stand.adapter.read_notice(body), tuple)
    return refused


def check_total(asked: Instruction, answer: Found | Any) -> None:
    """Whatever was told: what is done, refused and pending is what was asked, and each unit is named once."""
    assert isinstance(answer, tuple)
    if not isinstance(answer, Report) or isinstance(answer, Refused):
        return
    assert answer.done_units + answer.pending_units + answer.refused_units == asked.units, answer
    assert min(answer.pending_units, answer.refused_units) >= 0
    parts = sorted(answer.done, key=lambda part: (part.space, part.first))
    for left, right in pairwise(parts):
        assert not left.overlaps(right), answer
