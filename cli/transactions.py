"""Transaction files: canonical bytes and the approvals gathered so far, as JSON that travels between signers.

Everything here works offline. What the operations mean is decided by the ledger; sending is in `writing`.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cli.exits import ExitCode, Failed, misused
from keeling.submission import (
    approval_message,
    compute_transaction_digest,
    format_transaction,
    parse_transaction,
)

if TYPE_CHECKING:
    from keeling.v1 import transaction_pb2 as pb
    from network.keys import Signer

FORMAT: Final = 1


class TransactionFile(NamedTuple):
    """What a transaction file holds. `network` is the id of the only network the approvals are good for."""

    network: bytes
    transaction: bytes
    approvals: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def digest(self) -> bytes:
        """What approvers sign, together with the network."""
        return compute_transaction_digest(self.transaction)

    @property
    def id(self) -> bytes:
        return parse_transaction(self.transaction).id


def format_transaction_file(file: TransactionFile) -> bytes:
    """The bytes of the file; `shown` is for readers only and is ignored when the file is read."""
    document = {
        "keeling": "transaction",
        "format": FORMAT,
        "network": file.network.hex(),
        "transaction": base64.b64encode(file.transaction).decode("ascii"),
        "approvals": [
            {"key": key.hex(), "signature": base64.b64encode(signature).decode("ascii")}
            for key, signature in file.approvals
        ],
        "shown": show_transaction(file.transaction),
    }
    return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode("utf-8")


def parse_transaction_file(data: bytes, name: str) -> TransactionFile:
    """Read a transaction file; every approval in it must verify. Raises `Failed` that calls the file `name`."""
    try:
        document = json.loads(data)
        if document["keeling"] != "transaction" or document["format"] != FORMAT:
            raise misused(f"{name} is no transaction file of format {FORMAT}")
        approvals = tuple(
            (bytes.fromhex(item["key"]), base64.b64decode(item["signature"], validate=True))
            for item in document["approvals"]
        )
        raw = base64.b64decode(document["transaction"], validate=True)
        file = TransactionFile(bytes.fromhex(document["network"]), raw, approvals)
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise misused(f"{name} is no transaction file ({error})", "make one with keeling tx build") from error
    parse_transaction(file.transaction)
    _check_approvals(file, name)
    return file


def _check_approvals(file: TransactionFile, name: str) -> None:
    from keeling.ed25519 import check_signature

    for key, signature in file.approvals:
        if not check_signature(key, signature, approval_message(file.network, file.digest)):
            raise Failed(
                ExitCode.VERIFICATION_FAILED,
                f"the approval of key {key.hex()[:16]}… in {name} does not verify",
                reason="BAD_APPROVAL",
                advice="the transaction was changed after it was signed: have it signed again",
            )


def read_transaction_file(path: Path) -> TransactionFile:
    """Read and check the file `path`."""
    return parse_transaction_file(path.read_bytes(), str(path))


def add_approval(file: TransactionFile, signer: Signer) -> TransactionFile:
    """Return the file with one more approval; a key that has signed already is refused."""
    if any(key == signer.public_key for key, _ in file.approvals):
        raise Failed(
            ExitCode.REFUSED,
            f"key {signer.public_key.hex()[:16]}… has signed this transaction already",
            reason="SAME_PERSON",
            advice="another person must sign",
        )
    signature = signer.sign(approval_message(file.network, file.digest))
    return file._replace(approvals=(*file.approvals, (signer.public_key, signature)))


def build_transaction(number: bytes, participant: str, operations: list[Any]) -> bytes:
    """The canonical bytes of a transaction of these operation messages."""
    from keeling.v1 import transaction_pb2 as pb

    message = pb.Transaction(id=number, participant=participant)
    for operation in operations:
        add_operation(message, operation)
    return format_transaction(message)


def add_operation(message: pb.Transaction, operation: Any) -> None:
    """Append an operation message in its envelope, found by its type."""
    envelope = message.operations.add()
    for field in envelope.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.full_name == operation.DESCRIPTOR.full_name:
            chosen = getattr(envelope, field.name)
            chosen.SetInParent()
            chosen.CopyFrom(operation)
            return
    raise misused(f"{operation.DESCRIPTOR.name} is no operation of this version")


def show_transaction(raw: bytes) -> dict[str, Any]:
    """What the bytes say, for people and programs."""
    from cli.output import facts_of
    from keeling.v1 import transaction_pb2 as pb

    message = pb.Transaction.FromString(raw)
    return {
        "id": message.id.hex(),
        "participant": message.participant,
        "not_after_ms": message.not_after_ms,
        "operations": [
            {str(item.WhichOneof("operation")): facts_of(getattr(item, str(item.WhichOneof("operation"))))}
            for item in message.operations
        ],
    }


def parse_description(data: bytes, name: str) -> list[Any]:
    """Read operations from JSON: `{"operations": [{"transfer": {...}}]}`, field names as in operations.proto."""
    from google.protobuf import json_format

    from keeling.v1 import operations_pb2 as op

    try:
        items = json.loads(data)["operations"]
        messages = [json_format.ParseDict(item, op.Operation()) for item in items]
    except (ValueError, KeyError, TypeError, json_format.ParseError) as error:
        advice = 'write {"operations": [{"transfer": {...}}]}, fields as in proto/keeling/v1/operations.proto'
        raise misused(f"{name} does not describe a transaction: {error}", advice) from error
    if not messages or any(message.WhichOneof("operation") is None for message in messages):
        raise misused(f"{name} has no operations, or an empty one")
    return [getattr(message, str(message.WhichOneof("operation"))) for message in messages]
