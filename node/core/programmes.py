"""What a programme lets happen to its units: the last checks before a movement (units and rules §4).

Each function takes pieces that are already known to be free and owned. Rules come from records, never from code.
"""

from __future__ import annotations

from collections.abc import Sequence

from keeling.bundle_parts import format_time
from keeling.operations import ProgrammeTransferRule as Rule
from keeling.reasons import Reason
from keeling.units import Purpose
from node.core.context import Context
from node.core.records import Account, Batch, Link, Piece
from node.core.refusal import Refused


def batches_of(tx: Context, pieces: Sequence[Piece]) -> list[Batch]:
    """The batches the pieces are of, each once, in order."""
    if len(pieces) == 1:
        return [tx.batch_number(pieces[0].batch)]
    return [tx.batch_number(number) for number in dict.fromkeys(piece.batch for piece in pieces)]


def check_link_works(tx: Context, account: Account, link: Link) -> None:
    """The link, and the registry behind it, are working normally now."""
    for subject in (f"account:{account.name}", f"registry:{link.registry}"):
        found = tx.condition(subject)
        if found is not None:
            until = f" until {format_time(found.until_ms)}" if found.until_ms else ""
            detail = f"the link of {account.name} to {link.registry} is stopped{until}: {found.reason}"
            raise Refused(Reason.LINK_SUSPENDED, detail, account=account.name, registry=link.registry)


def find_link(account: Account, registry: str) -> Link:
    """The account's link to a registry."""
    if account.link is None or account.link.registry != registry:
        detail = f"account {account.name} has no link to {registry}"
        raise Refused(Reason.NO_LINK, detail, account=account.name, registry=registry)
    return account.link


def check_transfer(tx: Context, batch: Batch, giver: Account, taker: Account, settlement: str) -> None:
    """The programme lets units of the batch go from giver to taker on this ledger alone, now."""
    if not batch.native:
        here, there = find_link(giver, batch.registry), find_link(taker, batch.registry)
        same = (here.registry, here.registry_account) == (there.registry, there.registry_account)
        if not same:
            detail = f"{giver.name} and {taker.name} are different accounts at {batch.registry}"
            raise Refused(Reason.NEEDS_REGISTRY_CONFIRMATION, detail, registry=batch.registry)
        check_link_works(tx, giver, here)
    if check_transfer_rule(tx, batch, giver, taker, settlement) == Rule.REGISTRY_ONLY:
        raise Refused(Reason.REGISTRY_ONLY, f"units of {batch.programme} move only at {batch.registry}")


def check_transfer_rule(tx: Context, batch: Batch, giver: Account, taker: Account, settlement: str) -> int:
    """The programme lets units of the batch change hands at all, here or at their registry: returns its rule."""
    programme = tx.programme(batch.programme)
    rule = programme.transfer_rule
    if rule == Rule.EXCHANGE_ONLY:
        listed = any(tx.signed_by(name, Purpose.APPROVE) for name in programme.exchanges)
        if not settlement or not listed:
            version = tx.version(batch.programme)
            of = f"{batch.programme} version {version.version if version else 0}"
            detail = f"rule {of}: only with the settlement reference of {' or '.join(programme.exchanges)}"
            raise Refused(Reason.EXCHANGE_ONLY, detail, rule=of)
    elif rule == Rule.NONE:
        raise Refused(Reason.NOT_TRANSFERABLE, f"units of {batch.programme} cannot be transferred")
    elif rule == Rule.WITHIN_LINK and (giver.link is None or taker.link is None or giver.link[:2] != taker.link[:2]):
        detail = f"units of {batch.programme} move only inside one link"
        raise Refused(Reason.NOT_TRANSFERABLE, detail, programme=batch.programme)
    return rule


def check_end(tx: Context, batches: Sequence[Batch], account: Account) -> None:
    """Units of these batches may end by the owner's word alone: NATIVE and retirable."""
    for batch in batches:
        if not batch.native:
            detail = (
                f"{batch.name} is a batch of {batch.registry}: either hold the units for retirement and let the hub "
                f"dispatch and capture, or retire them at {batch.registry} and import or attest it"
            )
            raise Refused(Reason.NEEDS_REGISTRY_CONFIRMATION, detail, registry=batch.registry, account=account.name)
        check_retirable(tx, batch)


def check_retirable(tx: Context, batch: Batch) -> None:
    if not tx.programme(batch.programme).retirable:
        raise Refused(Reason.NOT_RETIRABLE, f"units of {batch.programme} cannot be retired", programme=batch.programme)
