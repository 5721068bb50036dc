"""Which units come under which authorization, and the ITMO numbers they get then.

Live units in scope come under an authorization when it is made, later ones when they are issued, from the lowest
position on and never more than its cap. A unit comes under one authorization at most, and stays under it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from keeling.events import EventKind
from keeling.operations import AuthorizationTerms
from keeling.reasons import Reason
from keeling.serials.model import Grain
from keeling.units import TERMINAL, UnitState
from node.core import tables as t
from node.core.article6.actions import Cause, Doing, act, find_authorization, find_terms
from node.core.article6.calendar import vintage_year
from node.core.article6.governed import find_party, is_active, party_of_account
from node.core.article6.records import ActionKind, Authorization, ItmoRange, ScopeKind
from node.core.article6.stretches import (
    Itmo,
    Stretch,
    format_space,
    index_batch,
    mark_authorized,
    read_stretches,
)
from node.core.article6.terms import First, allows_ndc, is_first_on
from node.core.context import Context
from node.core.limits import UNITS_MAX
from node.core.lots import touch_lots
from node.core.records import Batch, Piece
from node.core.refusal import Refused

SCOPE_BATCHES_MAX: Final = 1_000
"""Batches that may come under an authorization in one operation."""
_ANY_SCOPE: Final = t.SCOPES.key(0, "", "")
_OUT_OF_REACH: Final = (*sorted(TERMINAL), UnitState.IMMOBILISED)


def why_out_of_scope(tx: Context, batch: Batch, party: str, terms: AuthorizationTerms) -> Refused | None:
    """Why no unit of the batch can come under these terms of this Party; None when they can."""
    alpha2 = find_party(tx, party).alpha2
    if batch.host not in (party, alpha2) or not batch.host:
        return Refused(Reason.NOT_IN_SCOPE, f"{batch.name} is of host {batch.host or 'unknown'}, not {party}")
    if not terms.non_ghg_metric and batch.grain != Grain.T_CO2E.name:
        detail = f"{batch.name} counts {batch.grain}; without a non-GHG metric units are {Grain.T_CO2E.name}"
        return Refused(Reason.NOT_IN_SCOPE, detail, batch=batch.name)
    year = vintage_year(batch)
    if not 1900 <= year <= 9999:
        detail = f"the vintage of {batch.name} is in no one calendar year, and no NDC year was given"
        return Refused(Reason.VINTAGE_YEAR_UNKNOWN, detail, batch=batch.name)
    if terms.vintage_from and not terms.vintage_from <= year <= terms.vintage_to:
        detail = f"{batch.name} has vintage {year}, outside {terms.vintage_from} - {terms.vintage_to}"
        return Refused(Reason.NOT_IN_SCOPE, detail, batch=batch.name)
    return None


def put_scopes(tx: Context, authorization: str, terms: AuthorizationTerms) -> None:
    """Have batches issued later find the authorization. Older versions' scopes stay: what they match is checked."""
    for kind, names in (
        (ScopeKind.BATCH, terms.batches),
        (ScopeKind.PROJECT, terms.projects),
        (ScopeKind.PROGRAMME, terms.programmes),
    ):
        for name in names:
            tx.state.put(t.SCOPES, b"", kind, name, authorization)
    tx.state.put_key(t.SCOPES, _ANY_SCOPE, b"")


def has_scopes(tx: Context) -> bool:
    """Whether any authorization was ever made here: one look-up, so that other ledgers' issuances pay no more."""
    return tx.state.get_key(t.SCOPES, _ANY_SCOPE) is not None


def in_scope(batch: Batch, terms: AuthorizationTerms) -> bool:
    """Whether the terms name the batch, its project or its programme."""
    return batch.name in terms.batches or batch.project in terms.projects or batch.programme in terms.programmes


def cover_existing(tx: Context, authorization: str, terms: AuthorizationTerms, cause: Cause) -> None:
    """Bring the live units in scope under the authorization. A batch that is named and cannot be is refused."""
    party = find_authorization(tx, authorization).party
    named = [tx.batch(name)[0] for name in terms.batches]
    for number in named:
        problem = why_out_of_scope(tx, tx.batch_number(number), party, terms)
        if problem is not None:
            raise problem
    for number in _batches_in_scope(tx, terms, named):
        batch = tx.batch_number(number)
        if why_out_of_scope(tx, batch, party, terms) is None:
            live = _live_pieces(tx, number, batch.low, batch.high - batch.low + 1)
            cover(tx, authorization, [(piece, account) for piece, account in live], cause)


def _batches_in_scope(tx: Context, terms: AuthorizationTerms, named: Sequence[int]) -> list[int]:
    found = set(named)
    prefixes: list[tuple[str, ...]] = [(name,) for name in terms.programmes]
    for name in terms.projects:
        project = tx.state.get(t.PROJECTS, name)
        if project is None:
            raise Refused(Reason.PROJECT_NOT_FOUND, f"no project is called {name!r}", project=name)
        prefixes.append((project.programme, name))
    for prefix in prefixes:
        for key, _ in tx.state.scan(t.PROGRAMME_BATCHES, *prefix):
            found.add(t.PROGRAMME_BATCHES.parts(key)[2])
            if len(found) > SCOPE_BATCHES_MAX:
                detail = f"{' '.join(prefix)} and the others have more than {SCOPE_BATCHES_MAX} batches"
                raise Refused(Reason.TOO_MANY_BATCHES, detail, limit=SCOPE_BATCHES_MAX)
    return sorted(found)


def _live_pieces(tx: Context, number: int, first: int, units: int) -> list[tuple[Piece, int]]:
    """The live parts of a range, each with its account."""
    found = []
    for at, lot in touch_lots(tx, number, first, units):
        start, stop = max(at, first), min(at + lot.units, first + units)
        if lot.state not in _OUT_OF_REACH:
            found.append((Piece(number, start, stop - start), lot.account))
    return found


def cover_issued(
    tx: Context,
    number: int,
    pieces: Sequence[tuple[Piece, int]],
    levied: Sequence[tuple[Piece, ActionKind]],
    cause: Cause,
) -> None:
    """New units come under the first authorization that has them in scope and room under its cap.

    `levied` are the parts that the programme's record took: first transferred at issuance if they are authorized.
    """
    batch = tx.batch_number(number)
    left = [(piece, account, ActionKind.ISSUE) for piece, account in pieces]
    kinds = {piece.first: kind for piece, kind in levied}
    left = [(piece, account, kinds.get(piece.first, kind)) for piece, account, kind in left]
    for authorization in _candidates(tx, batch):
        found = find_authorization(tx, authorization)
        terms = find_terms(tx, authorization, found.version)
        if found.revoked or not in_scope(batch, terms) or not is_active(tx, found.approach):
            continue
        if why_out_of_scope(tx, batch, found.party, terms) is not None:
            continue
        rest = []
        for piece, account, kind in left:
            taken = cover(tx, authorization, [(piece, account)], cause, kind)
            if taken < piece.units:
                rest.append((piece._replace(first=piece.first + taken, units=piece.units - taken), account, kind))
        left = rest
        if not left:
            return


def _candidates(tx: Context, batch: Batch) -> list[str]:
    """Authorizations that may have the batch in scope, the more special first, then by name."""
    found: dict[str, None] = {}
    for kind, name in (
        (ScopeKind.BATCH, batch.name),
        (ScopeKind.PROJECT, batch.project),
        (ScopeKind.PROGRAMME, batch.programme),
    ):
        for key, _ in tx.state.scan(t.SCOPES, kind, name):
            found[t.SCOPES.parts(key)[2]] = None
    return list(found)


def cover(
    tx: Context,
    authorization: str,
    pieces: Sequence[tuple[Piece, int]],
    cause: Cause,
    kind: ActionKind = ActionKind.AUTHORIZE,
) -> int:
    """Bring pieces (each with its account) under an authorization, as far as its cap goes; returns how many units.

    Where the definition says so, or where they are abroad already, they are first transferred in the same moment.
    """
    taken = 0
    for piece, account in pieces:
        for stretch in read_stretches(tx.state, piece.batch, piece.first, piece.units):
            found = find_authorization(tx, authorization)
            terms = find_terms(tx, authorization, found.version)
            room = terms.cap - found.covered if terms.cap else stretch.units
            if stretch.authorization or room <= 0:
                continue
            part = stretch._replace(units=min(stretch.units, room))
            marked = mark_authorized(tx, part, authorization, _number_itmos(tx, part, found))
            _count(tx, authorization, found, part, terms.cap)
            taken += part.units
            act(tx, marked, cause, _first_doing(tx, found, terms, account, kind))
    return taken


def _first_doing(tx: Context, found: Authorization, terms: AuthorizationTerms, account: int, kind: ActionKind) -> Doing:
    """What coming under the authorization is: a levy, a first transfer by definition, or only the authorization."""
    holder = party_of_account(tx, account) or found.party
    if kind in (ActionKind.LEVY_ADAPTATION, ActionKind.LEVY_OMGE):
        return Doing(kind, True, found.party, "")
    if is_first_on(terms, First.AUTHORIZATION):
        return Doing(ActionKind.AUTHORIZE, True, holder, "")
    if is_first_on(terms, First.ISSUANCE):
        return Doing(ActionKind.ISSUE, True, holder, "")
    if allows_ndc(terms) and holder != found.party:
        return Doing(ActionKind.TRANSFER, True, found.party, holder, 0, {"late": "yes"})
    return Doing(ActionKind.AUTHORIZE, False, holder, "")


def _count(tx: Context, authorization: str, found: Authorization, part: Stretch, cap: int) -> None:
    covered = found.covered + part.units
    if covered > UNITS_MAX:
        raise Refused(Reason.AMOUNT_OVERFLOWS, f"more than {UNITS_MAX} units under {authorization}")
    tx.state.put(t.AUTHORIZATIONS, found._replace(covered=covered), authorization)
    index_batch(tx, authorization, part.batch)
    if covered == cap:
        tx.emit(EventKind.AUTHORIZATION_EXHAUSTED, authorization, facts={"cap": cap})


def _number_itmos(tx: Context, part: Stretch, found: Authorization) -> Itmo:
    """ITMO numbers for the part: its own where the batch is one of ITMOs, else the next of the Party's registry.

    Numbers given here are unique in the whole registry, not only in their space: tables print them without the rest.
    """
    batch = tx.batch_number(part.batch)
    registry = find_party(tx, found.party).itmo_registry
    space = format_space(found.approach, registry, found.party, vintage_year(batch))
    counter = tx.state.get(t.ITMOS, f"{registry}-{found.party}", 0) or ItmoRange(0, 0, 0)
    number = batch.base + part.first if batch.scheme == "itmo" else counter.units + 1
    last = number + part.units - 1
    if last >= UNITS_MAX:
        raise Refused(Reason.AMOUNT_OVERFLOWS, f"{space} has no {part.units} numbers left", space=space)
    _check_numbers_free(tx, space, number, part.units)
    tx.state.put(t.ITMOS, ItmoRange(part.batch, part.first, part.units), space, number)
    tx.state.put(t.ITMOS, ItmoRange(0, 0, max(counter.units, last)), f"{registry}-{found.party}", 0)
    return Itmo(space, part.first, number)


def _check_numbers_free(tx: Context, space: str, number: int, units: int) -> None:
    start = t.ITMOS.key(space, number + units)
    before = next(iter(tx.state.scan(t.ITMOS, space, start=start, reverse=True)), None)
    if before is not None:
        first = t.ITMOS.parts(before[0])[1]
        if first + before[1].units > number:
            shared = f"{max(first, number)}..{min(first + before[1].units, number + units) - 1}"
            detail = f"ITMO numbers {shared} of {space} are taken"
            raise Refused(Reason.SERIALS_OVERLAP, detail, space=space, serials=shared)


def first_transfer_covered(tx: Context, authorization: str, cause: Cause) -> None:
    """After an amendment: units whose new definition has been met already are first transferred now."""
    found = find_authorization(tx, authorization)
    terms = find_terms(tx, authorization, found.version)
    for key, _ in list(tx.state.scan(t.COVERED, authorization)):
        number = t.COVERED.parts(key)[1]
        batch = tx.batch_number(number)
        for piece, account in _live_pieces(tx, number, batch.low, batch.high - batch.low + 1):
            for stretch in read_stretches(tx.state, number, piece.first, piece.units):
                if stretch.authorization == authorization and not stretch.version:
                    doing = _first_doing(tx, found, terms, account, ActionKind.AUTHORIZE)
                    if doing.first_transfer:
                        act(tx, stretch, cause, doing)
