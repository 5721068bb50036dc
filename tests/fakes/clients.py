"""A client of a real node for tests: signs with made-up people's keys, and checks proofs as a stranger would."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from typing import Any, Protocol

import grpc
from google.protobuf.message import Message

from keeling.block import RESULT, Result, parse_record
from keeling.genesis import parse_genesis
from keeling.merkle import check_inclusion, hash_leaf
from keeling.policy import parse_policy
from keeling.proof import check_proof, parse_proof
from keeling.submission import compute_transaction_digest, format_submission, format_transaction
from keeling.v1 import ledger_pb2 as pb
from keeling.v1 import ledger_pb2_grpc, log_pb2, log_pb2_grpc, transaction_pb2
from tests.fakes.world import wrap


class Signatory(Protocol):
    """Who hands in for a participant."""

    @property
    def participant(self) -> str: ...

    @property
    def key(self) -> bytes: ...

    def sign(self, message: bytes) -> bytes: ...


class Client:
    """Acts for several participants over one channel."""

    def __init__(self, channel: grpc.aio.Channel, genesis: bytes, people: Sequence[Signatory]) -> None:
        self.channel = channel
        self.ledger: Any = ledger_pb2_grpc.LedgerStub(channel)
        self.log: Any = log_pb2_grpc.LogStub(channel)
        self.people = {person.participant: person for person in people}
        self.network = hashlib.sha256(genesis).digest()
        self.policy = parse_policy(parse_genesis(genesis).policy)

    def transaction(self, by: str, *operations: Message) -> bytes:
        stamp = (time.time_ns() // 1_000_000).to_bytes(6, "big")
        tail = os.urandom(10)
        number = stamp + bytes([0x70 | tail[0] & 15, tail[1], 0x80 | tail[2] & 63]) + tail[3:]
        message = transaction_pb2.Transaction(id=number, participant=by)
        for operation in operations:
            message.operations.append(wrap(operation))
        return format_transaction(message)

    def submission(self, by: str, *raws: bytes) -> bytes:
        person = self.people[by]
        return format_submission(self.network, person.key, [(raw, ()) for raw in raws], person.sign)

    def request(self, by: str, *raws: bytes) -> pb.SubmitRequest:
        return pb.SubmitRequest(submissions=[self.submission(by, *raws)])

    async def submit_one(self, by: str, raw: bytes) -> pb.TransactionResult:
        response: pb.SubmitResponse = await self.ledger.Submit(self.request(by, raw))
        return response.results[0]

    async def must(self, by: str, *operations: Message) -> pb.TransactionResult:
        result = await self.submit_one(by, self.transaction(by, *operations))
        if result.reason:
            raise AssertionError(f"expected acceptance, got {result.reason_name}: {result.detail}")
        return result

    async def watch(self, request: pb.WatchRequest) -> list[pb.Event]:
        return [event async for page in self.ledger.Watch(request) for event in page.events]

    def check_proof(self, proof: log_pb2.TransactionProof, receipt: pb.TransactionResult) -> None:
        """Transaction and events are in the result, the result in the record, the record in the final log."""
        digest = compute_transaction_digest(proof.transaction)
        result = Result(digest, proof.reason, hashlib.sha256(b"".join(proof.events)).digest())
        record = parse_record(proof.record_leaf)
        leaf = hash_leaf(RESULT.encode(result))
        check_inclusion(proof.result_index, record.transactions, leaf, list(proof.result_path), record.results_root)
        check_proof(parse_proof(proof.proof_file), hash_leaf(proof.record_leaf), self.policy)
        if (digest, proof.reason) != (receipt.digest, receipt.reason):
            raise AssertionError("the proof is of another transaction than the receipt")
