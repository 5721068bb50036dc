"""An `Electorate` that also keeps what a node would store of each final block, certified by a quorum in force.

The seeds of all node keys are known, so every block gets its certificate and checkpoint, under whatever policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from keeling import ed25519
from keeling.checkpoint import Checkpoint, cosign_checkpoint, format_final, sign_checkpoint
from keeling.encoding import U64
from keeling.policy import Policy, format_policy, hash_policy
from keeling.v1 import operations_pb2 as op
from keeling.votes import CERTIFICATE, Certificate, Signature, Step, Vote, vote_message
from node.archive import put_block
from node.core.block import Block
from node.store.contract import Batch, Family, Store
from node.store.memory import MemoryStore
from tests.fakes.electorate import Electorate, node_keys, seed
from tests.fakes.world import START_MS

SEEDS = {
    key: seed(name, role)
    for name in ("fresh", "alice", *(f"v{n}" for n in range(1, 10)))
    for role, key in node_keys(name)._asdict().items()
}
"""Every node key that tests use, by its public half."""


class RecordedElectorate(Electorate):
    """Every settled block is in `store`, as `node.archive` lays it out."""

    def __init__(
        self,
        names: Sequence[str],
        others: Sequence[str] = (),
        records: Sequence[op.SetRecord] = (),
        store: Store | None = None,
    ) -> None:
        self.store: Store = store or MemoryStore()
        self._last: tuple[bytes, Policy] | None = None
        super().__init__(names, others, records)

    def _settle(self, changes: Sequence[tuple[bytes, bytes | None]], height: int) -> None:
        if height == 0:
            batch = Batch()
            batch.update(Family.STATE, changes)
            batch.put(Family.META, b"chain/network", self.genesis.network)
            batch.put(Family.META, b"chain/tip", U64.encode(0))
            self.store.commit(batch)
        super()._settle(changes, height)
        self._last = (self.tip.policy, self.policy)

    def _keep(self, raw: bytes, block: Block) -> None:
        assert self._last is not None
        certificate, checkpoint = certify(self.genesis.network, block, self._last[1], self._last[0])
        batch = Batch()
        put_block(batch, block, raw, certificate, checkpoint)
        batch.put(Family.META, b"chain/tip", U64.encode(block.header.height))
        self.store.commit(batch)


def certify(network: bytes, block: Block, policy: Policy, named: bytes) -> tuple[bytes, bytes]:
    """Certificate and published checkpoint of a block by the first validators that make a quorum."""
    assert named == block.header.policy
    log = block.growth.frontier
    lock = Vote(network, named, 0, block.header.height, log.size, log.root(), block.header.entry, Step.LOCK)
    head = Checkpoint(policy.origin, log.size, log.root())
    signatures, lines = [], []
    for validator in policy.validators[: policy.quorum]:
        vote = ed25519.sign(SEEDS[validator.vote_key], vote_message(lock))
        signatures.append(Signature(validator.vote_key, vote))
        log_seed, cosigner = SEEDS[validator.log_key.public_key], SEEDS[validator.cosigner_key.public_key]
        lines.append(sign_checkpoint(head, validator.log_key, partial(ed25519.sign, log_seed)))
        sign = partial(ed25519.sign, cosigner)
        lines.append(cosign_checkpoint(head, validator.cosigner_key, START_MS // 1000, sign))
    return CERTIFICATE.encode(Certificate(lock, tuple(signatures))), format_final(head, lines, policy)


def tell_changes(store: Store | None = None) -> RecordedElectorate:
    """Four validators, then five, then one with a new vote key, then three: three changes of policy, nothing else."""
    world = RecordedElectorate(("v1", "v2", "v3", "v4"), store=store)
    world.admit("v5", "v2", "v3")
    world.must("v5", world.ready("v5"))
    world.must("v2", op.RotateKey(node=op.NodeKeys(vote=node_keys("fresh").vote)))
    first = world.policy
    three = Policy(first.origin, tuple(v._replace(entry_key=b"") for v in first.validators[:3]))
    world.must("v1", op.SetPolicy(policy=format_policy(three)), approvals=("v2", "v3", "v4"))
    world.must("v1", op.RotateKey(contact=op.Contact(address="v1.example:1")))
    assert world.policy.since == 4
    assert hash_policy(world.genesis.policy) != world.tip.policy
    return world
