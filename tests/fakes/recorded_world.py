"""A `World` that also keeps what a node would store of each final block, and one small story told in it.

The single validator's certificate and checkpoint are made for every block, so that bundles can be exported from the
store at any height.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from keeling import ed25519
from keeling.checkpoint import Checkpoint, cosign_checkpoint, format_final, sign_checkpoint
from keeling.encoding import U64
from keeling.entry import Entry, format_entry
from keeling.genesis import format_genesis
from keeling.policy import format_policy, hash_policy
from keeling.v1 import operations_pb2 as op
from keeling.votes import CERTIFICATE, Certificate, Signature, Step, Vote, vote_message
from node.archive import put_block
from node.core.block import Block
from node.store.contract import Batch, Family
from node.store.memory import MemoryStore
from tests.fakes.policies import ORIGIN, one_validator_policy, seed_of
from tests.fakes.world import START_MS, World

TIP_KEY = b"chain/tip"


class RecordedWorld(World):
    """Every settled block is in `store`, as `node.archive` lays it out."""

    def __init__(
        self, participants: dict[str, Sequence[str]], records: Sequence[op.SetRecord] = (), **more: Any
    ) -> None:
        self.store = MemoryStore()
        super().__init__(participants, records, **more)
        known = self.genesis
        founding = (known.origin, known.created_ms, known.policy, known.founders, known.validators)
        self.genesis_bytes = format_genesis(*founding, records)
        if hashlib.sha256(self.genesis_bytes).digest() != known.network:
            raise AssertionError("the genesis file was not made again")

    def _settle(self, changes: Sequence[tuple[bytes, bytes | None]], height: int) -> None:
        super()._settle(changes, height)
        if height == 0:
            batch = Batch()
            for key, value in changes:
                if value is not None:
                    batch.put(Family.STATE, key, value)
            self.store.commit(batch)

    def block(self, *submissions: bytes) -> Block:
        entry = Entry(self.genesis.network, self.node.key, self.number + 1, self.now_ms, submissions)
        raw = format_entry(entry, self.node.sign)
        block = super().block(*submissions)
        certificate, checkpoint = seal(self.genesis.network, block)
        batch = Batch()
        put_block(batch, block, raw, certificate, checkpoint)
        batch.put(Family.META, TIP_KEY, U64.encode(block.header.height))
        self.store.commit(batch)
        return block


def seal(network: bytes, block: Block) -> tuple[bytes, bytes]:
    """Certificate and published checkpoint of a block by the one validator."""
    log = block.growth.frontier
    return seal_head(network, block.header.height, log.size, log.root(), block.header.entry)


def seal_head(network: bytes, height: int, size: int, root: bytes, entry: bytes) -> tuple[bytes, bytes]:
    """Certificate and published checkpoint of any tree head: what a lying validator would sign too."""
    policy = one_validator_policy()
    validator = policy.validators[0]
    lock = Vote(network, hash_policy(_policy_bytes()), 0, height, size, root, entry, Step.LOCK)
    signature = Signature(validator.vote_key, ed25519.sign(seed_of("vote"), vote_message(lock)))
    head = Checkpoint(ORIGIN, size, root)
    lines = [
        sign_checkpoint(head, validator.log_key, partial(ed25519.sign, seed_of("log"))),
        cosign_checkpoint(head, validator.cosigner_key, START_MS // 1000, partial(ed25519.sign, seed_of("cosigner"))),
    ]
    return CERTIFICATE.encode(Certificate(lock, (signature,))), format_final(head, lines, policy)


@cache
def _policy_bytes() -> bytes:
    return format_policy(one_validator_policy())


NATIVE = op.SetRecord(
    id="programme:one",
    version=1,
    source="https://programme.example/rules",
    programme=op.Programme(
        registry="reg",
        native=True,
        grain="tonne",
        scheme="ledger",
        transfer_rule=op.Programme.TransferRule.FREE,
        retirable=True,
    ),
)
YEAR = op.When(ms=1_704_067_200_000, precision=op.When.Precision.DATE)


def tell_story() -> RecordedWorld:
    """Alice and Bob get units; they trade; both let a hold expire in one block; refusals of every kind happen."""
    w = RecordedWorld({"reg": ("registry",), "alice": ("group",), "bob": ("group",), "carol": ("group",)}, [NATIVE])
    for name in ("alice", "bob", "carol"):
        w.must(name, op.OpenAccount(account=f"{name}-main", owner=name))
    w.must("reg", op.RegisterProject(project="p1", programme="programme:one", name="Wind", host="IN"))
    issued = w.block(
        w.submission(
            "reg",
            *(
                w.transaction("reg", _issue(name, first))
                for name, first in (("alice", "1"), ("bob", "5001"), ("carol", "9001"))
            ),
        )
    )
    if any(answer.refusal for answer in issued.submissions[0].answers):
        raise AssertionError(f"expected issuance, got {issued.submissions[0].answers}")
    w.must("alice", _transfer("alice", "bob", 10), approvals=("bob",))
    w.must("carol", _transfer("carol", "bob", 7), approvals=("bob",))
    expires = w.now_ms + 60_000
    for name in ("alice", "bob"):
        w.must(name, _hold(name, expires))
    w.run("alice", _transfer("alice", "bob", 999_999))
    w.run("bob", _transfer("alice", "bob", 5))
    w.later(61_000)
    w.block()
    mixed = [w.transaction("reg", op.Anchor(kind="evidence", name=f"n{i}", digest=bytes([i]) * 32)) for i in (1, 2)]
    w.block(w.submission("reg", *mixed), b"no submission", w.submission("bob", w.transaction("bob", _retire("bob", 3))))
    w.must("alice", _retire("alice", 4))
    return w


def _issue(name: str, first: str) -> op.Issue:
    return op.Issue(
        batch=f"batch-{name}",
        project="p1",
        programme="programme:one",
        space="reg:one",
        first_number=first,
        units=1000,
        extent=op.Issue.Extent.EXACT,
        account=f"{name}-main",
        vintage_start=YEAR,
        vintage_end=YEAR,
    )


def _transfer(giver: str, taker: str, units: int) -> op.Transfer:
    leg = op.UnitLeg(from_account=f"{giver}-main", to_account=f"{taker}-main", selection=op.Selection(units=units))
    return op.Transfer(units=[leg])


def _hold(name: str, expires_ms: int) -> op.Hold:
    hold = hashlib.sha256(name.encode()).digest()[:16]
    return op.Hold(
        hold=hold,
        account=f"{name}-main",
        selection=op.Selection(units=20),
        purpose=op.Hold.Purpose.FOR_RETIREMENT,
        expires_ms=expires_ms,
    )


def _retire(name: str, units: int) -> op.Retire:
    return op.Retire(account=f"{name}-main", selection=op.Selection(units=units), reason="offset")


def tell_short_story() -> RecordedWorld:
    """The same in three blocks: everything a bundle can hold, in few bytes."""
    w = RecordedWorld({"reg": ("registry",), "alice": ("group",), "bob": ("group",)}, [NATIVE])
    opened = [
        w.submission(name, w.transaction(name, op.OpenAccount(account=f"{name}-main", owner=name)))
        for name in ("alice", "bob")
    ]
    project = op.RegisterProject(project="p1", programme="programme:one", name="Wind", host="IN")
    issued = w.transaction("reg", project, *(_issue(name, first) for name, first in (("alice", "1"), ("bob", "5001"))))
    w.block(*opened, w.submission("reg", issued))
    expires = w.now_ms + 60_000
    moved = w.transaction("alice", _transfer("alice", "bob", 10)), w.transaction("alice", _hold("alice", expires))
    refused = w.transaction("alice", _transfer("alice", "bob", 9_999))
    w.block(
        w.submission("alice", *moved, refused, approvals=("bob",)),
        w.submission("bob", w.transaction("bob", _hold("bob", expires))),
        b"no submission",
    )
    w.later(60_000)
    w.block()
    return w


@cache
def short_story() -> RecordedWorld:
    """The short story, told once per process; nobody writes into it."""
    return tell_short_story()


@cache
def story() -> RecordedWorld:
    """The story, told once per process; nobody writes into it."""
    return tell_story()
