"""What units are used for: options that `keeling use` and `keeling hold place` share."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keeling.v1 import operations_pb2 as op


class UseFor(StrEnum):
    """Towards what units are used."""

    NONE = "none"
    NDC = "ndc"
    OIMP = "oimp"
    COMPLIANCE = "compliance"


USE_FOR = Annotated[UseFor, typer.Option("--for", help="ndc, oimp (other international purposes) or compliance.")]
USE_YEAR = Annotated[int, typer.Option("--year", help="The NDC or compliance year.")]
USE_SCHEME = Annotated[str, typer.Option("--scheme", help="The compliance scheme, such as CORSIA.")]
USE_ENTITY = Annotated[str, typer.Option("--entity", help="Who complies, by its public id.")]


def build_use(use: UseFor, year: int, scheme: str, entity: str) -> op.Purposeful | None:
    """The purpose of the options; None for none."""
    if use is UseFor.NONE:
        return None
    from keeling.v1 import operations_pb2 as op

    return op.Purposeful(kind=op.Purposeful.Kind.Value(use.name), year=year, scheme=scheme, entity=entity)
