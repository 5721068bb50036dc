"""Signed messages before a registry: who is heard, who is believed, and evidence that holds without it."""

from __future__ import annotations

import pytest

from adapters.contract import Report, Settings, Unauthorised, WrongShape
from adapters.des.driver import check_envelope
from adapters.des.signing import SignatureError
from adapters.sandbox.unfccc import UnfcccSandbox
from adapters.unfccc import SYSTEM
from tests.adapters.article6_stand import OTHER_SEED, open_exchange, public_of, secrets_for
from tests.adapters.exchange_stand import Stand, ended_units
from tests.adapters.test_unfccc_exchange import run


def test_who_is_not_known_or_signs_wrongly_is_not_heard() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        for name, wrong in (("registry-code", "XXX99"), ("signing-key", OTHER_SEED), ("signing-key", "short")):
            known = {**secrets_for(sandbox), name: wrong}
            adapter = open_exchange(SYSTEM, Settings(sandbox.base_url, known.__getitem__))
            assert isinstance(await adapter.instruct(stand.instruction()), Unauthorised)
            assert isinstance(await adapter.changes(""), Unauthorised)
            await adapter.close()
        assert ended_units(stand) == 0

    run(trial)


def test_what_another_key_signed_is_not_believed() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        known = {**secrets_for(sandbox), "their-key": public_of(OTHER_SEED)}
        adapter = open_exchange(SYSTEM, Settings(sandbox.base_url, known.__getitem__))
        answers = [await adapter.instruct(stand.instruction()), await adapter.changes(""), await adapter.snapshot()]
        assert [type(each) for each in answers] == [WrongShape, WrongShape, WrongShape]
        await adapter.close()

    run(trial)


def test_evidence_holds_without_the_registry() -> None:
    async def trial(stand: Stand, sandbox: UnfcccSandbox) -> None:
        instruction = stand.instruction(10)
        found = await stand.ask(instruction, await stand.adapter.instruct(instruction))
        assert isinstance(found, Report)
        told = check_envelope(found.evidence, sandbox.public_key)
        assert told["transactions"][0]["transactionIdentifier"] == instruction.key
        with pytest.raises(SignatureError):
            check_envelope(
                found.evidence.replace(b'"unitSerialBlockEnd":10', b'"unitSerialBlockEnd":11'), sandbox.public_key
            )
        for change in await stand.all_changes():
            assert check_envelope(change.evidence, sandbox.public_key)["eventIdentifier"] == change.id

    run(trial)
