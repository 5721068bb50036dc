"""Turns foreign errors into `Failed`: a gRPC status, a refused key file, an export that cannot be read.

Why no connection came about is found out by `network.diagnosis`; what a reason means stands in `keeling.reasons`. This
module is imported only after something failed, so it may import everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cli.exits import ExitCode, Failed
from keeling.meanings import MEANINGS
from keeling.reasons import Reason

if TYPE_CHECKING:
    from network.transport import Destination

_CODES: Final[Mapping[grpc.StatusCode, ExitCode]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ExitCode.REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: ExitCode.REFUSED,
    grpc.StatusCode.OUT_OF_RANGE: ExitCode.REFUSED,
    grpc.StatusCode.ABORTED: ExitCode.REFUSED,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.REFUSED,
    grpc.StatusCode.UNIMPLEMENTED: ExitCode.REFUSED,
    grpc.StatusCode.NOT_FOUND: ExitCode.NOT_FOUND,
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.NOT_PERMITTED,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.NOT_PERMITTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ExitCode.UNREACHABLE,
    grpc.StatusCode.UNAVAILABLE: ExitCode.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: ExitCode.UNREACHABLE,
}
_FORBIDDEN: Final = frozenset(
    {
        Reason.NOT_PERMITTED,
        Reason.UNKNOWN_KEY,
        Reason.BAD_SIGNATURE,
        Reason.KEY_NOT_ACTIVE,
        Reason.PARTICIPANT_SUSPENDED,
        Reason.NOT_THE_SUBMITTER,
    }
)
_NEVER_LEFT: Final = ("failed to connect", "dns resolution failed", "name resolution", "empty address list")
"""How gRPC says that there never was a connection to send on."""


_NUMBERS: Final = frozenset(int(reason) for reason in Reason)


class Said(NamedTuple):
    """What a failed call said: `reason` and `values` are empty when it was not a node of ours that answered."""

    status: grpc.StatusCode
    text: str
    reason: str
    values: Mapping[str, str]


def read_error(error: grpc.RpcError) -> Said:
    """Return status, text and `google.rpc.ErrorInfo` of a failed call."""
    status, text = error.code(), error.details() or ""
    detailed = rpc_status.from_call(error) if isinstance(error, grpc.Call) else None
    details: list[Any] = list(detailed.details) if detailed is not None else []
    for item in details:
        info = error_details_pb2.ErrorInfo()
        if item.Unpack(info) and info.domain == "keeling":
            return Said(status, text, info.reason, dict(info.metadata))
    return Said(status, text, "", {})


def explain_read(error: grpc.RpcError, destination: Destination) -> Failed:
    """Return why a call that changes nothing failed."""
    said = read_error(error)
    if said.reason:
        return _explain_refusal(said)
    if said.status in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return _explain_silence(said, destination)
    code = _CODES.get(said.status, ExitCode.UNREACHABLE)
    return Failed(code, said.text or said.status.name, reason=said.status.name)


def explain_write(error: grpc.RpcError, destination: Destination, question: str) -> Failed:
    """Return why a submission failed. Unless the node said so, or never was reached, the outcome is not known.

    `question` is the command that asks for the outcome.
    """
    said = read_error(error)
    unknown = said.status is grpc.StatusCode.DEADLINE_EXCEEDED or said.reason == "OUTCOME_UNKNOWN"
    if said.reason and not unknown:
        return _explain_refusal(said)
    refused = _CODES.get(said.status) in (ExitCode.REFUSED, ExitCode.NOT_PERMITTED, ExitCode.NOT_FOUND)
    if refused or said.status is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return Failed(_CODES[said.status], said.text or said.status.name, reason=said.status.name)
    never_left = said.status is grpc.StatusCode.UNAVAILABLE and not unknown
    if never_left and any(word in said.text.lower() for word in _NEVER_LEFT):
        return _explain_silence(said, destination)
    return Failed(ExitCode.OUTCOME_UNKNOWN, f"outcome unknown, ask: {question}", values={"status": said.status.name})


def _explain_refusal(said: Said) -> Failed:
    reason = Reason.__members__.get(said.reason)
    advice = MEANINGS[reason].advice if reason is not None else ""
    code = _CODES.get(said.status, ExitCode.UNREACHABLE)
    if reason is not None and code is not ExitCode.NOT_PERMITTED:
        code = code_of(reason) if said.status is not grpc.StatusCode.NOT_FOUND else code
    text = said.text.removeprefix(f"{said.reason}: ")
    return Failed(code, text, reason=said.reason, advice=advice, values=said.values)


def _explain_silence(said: Said, destination: Destination) -> Failed:
    from network.diagnosis import diagnose

    found = diagnose(destination)
    if found is None:
        late = said.status is grpc.StatusCode.DEADLINE_EXCEEDED
        what = "did not answer in time" if late else "was not ready and is now"
        found = f"the node of {destination.participant} at {destination.address} {what}: try again"
    return Failed(ExitCode.UNREACHABLE, found, reason="UNREACHABLE")


def code_of(reason: int) -> ExitCode:
    """Return the exit code of a result with this reason."""
    if reason == Reason.ACCEPTED:
        return ExitCode.DONE
    known = Reason(reason) if reason in _NUMBERS else None
    if known in _FORBIDDEN:
        return ExitCode.NOT_PERMITTED
    if known is not None and known.name.endswith("_NOT_FOUND"):
        return ExitCode.NOT_FOUND
    return ExitCode.REFUSED


def explain(error: Exception) -> Failed | None:
    """Return a known error of the project as `Failed`; None for one that is a bug."""
    from adapters.exports import FileError
    from adapters.registry import UnknownRegistryError
    from keeling.attachment import AttachmentError
    from keeling.disclosure import DisclosureError
    from keeling.genesis import GenesisError
    from keeling.serials import SerialError
    from keeling.strict import FormatError
    from keeling.submission import SubmissionError
    from network.cards import CardRefused
    from network.certificates import CertificateError
    from network.files import FileRefused
    from network.folders import FolderRefused
    from network.keys import KeyFileError
    from network.names import NameRefused
    from network.profiles import ProfileError
    from network.settings import ConfigError

    if isinstance(error, FolderRefused):
        return Failed(ExitCode.REFUSED, str(error), reason="FOLDER_IN_THE_WAY")
    if isinstance(error, SubmissionError):
        return Failed(ExitCode.USAGE, str(error), reason=error.reason.name, advice=MEANINGS[error.reason].advice)
    usage = (
        CardRefused,
        FileError,
        UnknownRegistryError,
        GenesisError,
        SerialError,
        FormatError,
        CertificateError,
        ConfigError,
        AttachmentError,
        DisclosureError,
    )
    if isinstance(error, (*usage, FileRefused, KeyFileError, NameRefused, ProfileError)):
        return Failed(ExitCode.USAGE, str(error).replace("\n", "; "))
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return Failed(ExitCode.USAGE, f"{name}{error.strerror or error}")
    return None
