"""`follow`: what the events of an operation mean for authorized units. First transfers are derived here, nowhere else.

It runs after every operation, inside its transaction, and looks at the events only: whatever way units came to another
Party, were used or cancelled, the same follows. A transaction that asks for what an authorization does not allow is
refused; what happened outside this ledger, and is news here, is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from keeling.encoding import Ref
from keeling.events import Event, EventKind, Move
from keeling.operations import LevyKind, Programme, Purposeful, PurposefulKind
from keeling.units import TERMINAL, UnitState
from node.core import tables as t
from node.core.article6 import gates
from node.core.article6.actions import Cause, Doing, act, cause_of, find_authorization, terms_of, withdraw
from node.core.article6.calendar import year_of
from node.core.article6.coverage import cover_issued, has_scopes
from node.core.article6.governed import party_of_account
from node.core.article6.records import ActionKind
from node.core.article6.stretches import Stretch, is_authorized, join_ranges, read_stretches
from node.core.article6.terms import First, allows_ndc, is_first_on
from node.core.article6.twinning import follow_end_of_pair, follow_pair
from node.core.context import Context
from node.core.lots import touch_lots
from node.core.records import Piece

_MOVING: Final = frozenset({EventKind.TRANSFERRED, EventKind.CAPTURED, EventKind.LINKED})
_ENDING: Final = frozenset({EventKind.RETIRED, EventKind.USED, EventKind.CANCELLED, EventKind.BUFFERED})
_CANCELLING: Final = ("", "VOLUNTARY", "OMGE", "OTHER")
"""Kinds of cancellation that "use or cancellation" means; what an administrator or a reversal cancels is not it."""


def follow(tx: Context, since: int) -> None:
    """Derive what `tx.events[since:]` entail; raises `Refused` where an authorization forbids it."""
    followers = _FOLLOWERS if has_scopes(tx) else _WITHOUT_AUTHORIZATIONS
    for i, event in enumerate(tx.events[since:], since):
        follower = followers.get(event.kind)
        if follower is not None and (event.moves or event.kind == EventKind.TWINNED):
            first = tx.next_ref.ordinal - len(tx.events)
            follower(tx, event, Ref(tx.height, first + i))


# -- issuance


def _follow_issue(tx: Context, event: Event, place: Ref) -> None:
    """New units, and the parts of them that the programme's record took as levies."""
    number, batch = tx.batch(event.moves[0].batch)
    cause = cause_of(tx, place, event.effective, news=not batch.native)
    created = [move for move in event.moves if move.from_state == UnitState.NONE]
    version = tx.version(batch.programme)
    programme = version.programme if version is not None else None
    levied = _levies_in(event, created, programme, number) if event.kind == EventKind.ISSUED else []
    taken = {piece.first for piece, _ in levied}
    pieces = []
    for move in created:
        account = tx.any_account(move.to_account)[0]
        if move.first in taken:
            pieces.append((Piece(number, move.first, move.units), account))
            continue
        for at, lot in touch_lots(tx, number, move.first, move.units):
            start, stop = max(at, move.first), min(at + lot.units, move.first + move.units)
            if lot.state not in TERMINAL:
                pieces.append((Piece(number, start, stop - start), lot.account))
    cover_issued(tx, number, pieces, levied, cause)


def _levies_in(
    event: Event, created: list[Move], programme: Programme | None, number: int
) -> list[tuple[Piece, ActionKind]]:
    """Levies are the first moves of an issuance, in the order of the programme's record, as its facts say."""
    found, moves = [], iter(created)
    kinds = {LevyKind.ADAPTATION: ActionKind.LEVY_ADAPTATION, LevyKind.OMGE: ActionKind.LEVY_OMGE}
    for levy in programme.levies if programme is not None else ():
        if event.fact(f"levy {levy.name}"):
            move = next(moves)
            kind = kinds.get(LevyKind(levy.kind))
            if kind is not None:
                found.append((Piece(number, move.first, move.units), kind))
    return found


# -- movements


def _authorized_moves(tx: Context, moves: Iterable[Move]) -> list[tuple[Move, int]]:
    """Moves of batches that have authorized units, with the batch's number."""
    found = []
    for move in moves:
        number = tx.batch(move.batch)[0]
        if is_authorized(tx, number):
            found.append((move, number))
    return found


def _follow_transfer(tx: Context, event: Event, place: Ref) -> None:
    """Units that came from one account to another, whatever the way."""
    for (giver, taker), stretches in _by_accounts(tx, event.moves).items():
        for stretch in stretches:
            news = event.kind != EventKind.TRANSFERRED and not tx.batch_number(stretch.batch).native
            transfer_abroad(tx, stretch, cause_of(tx, place, event.effective, news), giver, taker)


def _by_accounts(tx: Context, moves: Iterable[Move]) -> dict[tuple[int, int], list[Stretch]]:
    """The authorized stretches of moves, by giving and taking account, neighbouring moves joined."""
    ranges: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for move, number in _authorized_moves(tx, moves):
        giver, taker = tx.any_account(move.from_account)[0], tx.any_account(move.to_account)[0]
        ranges.setdefault((giver, taker, number), []).append((move.first, move.units))
    found: dict[tuple[int, int], list[Stretch]] = {}
    for (giver, taker, number), parts in ranges.items():
        for first, units in join_ranges(parts):
            stretches = [s for s in read_stretches(tx.state, number, first, units) if s.authorization]
            found.setdefault((giver, taker), []).extend(stretches)
    return found


def transfer_abroad(tx: Context, stretch: Stretch, cause: Cause, giver: int, taker: int) -> None:
    """A stretch went from one account to another: an action if it went to another Party or to the Adaptation Fund.

    It is a first transfer if the units were never first transferred, are authorized for NDC use and leave their host.
    """
    host = find_authorization(tx, stretch.authorization).party
    from_party = party_of_account(tx, giver) or host
    if _takes_adaptation_share(tx, stretch, taker):
        first = not stretch.version and bool(from_party == host)
        act(tx, stretch, cause, Doing(ActionKind.ADAPTATION, first, from_party, ""))
        return
    to_party = party_of_account(tx, taker)
    if not cause.news:
        gates.check_known(tx, taker, to_party)
    to_party = to_party or host
    if from_party == to_party:
        return
    if not cause.news:
        gates.check_transfer_abroad(tx, stretch, taker, to_party, cause.effective.ms)
    first = not stretch.version and to_party != host and allows_ndc(terms_of(tx, stretch))
    act(tx, stretch, cause, Doing(ActionKind.TRANSFER, first, from_party, to_party))


def _takes_adaptation_share(tx: Context, stretch: Stretch, account: int) -> bool:
    version = tx.version(tx.batch_number(stretch.batch).programme)
    levies = version.programme.levies if version is not None and version.programme is not None else ()
    name = tx.account_number(account).name
    return any(levy.kind == LevyKind.ADAPTATION and levy.account == name for levy in levies)


# -- holds: refused before anything is sent, because a registry's yes cannot be


def _follow_hold(tx: Context, event: Event, place: Ref) -> None:
    hold = tx.state.get(t.HOLDS, bytes.fromhex(event.subject))
    if hold is None:
        raise LookupError(f"hold {event.subject} is not in the state")
    for (giver, _), stretches in _by_accounts(tx, event.moves).items():
        for stretch in stretches:
            if hold.use is not None:
                _check_use(tx, stretch, Purposeful(*hold.use), giver, tx.time_ms)
            elif hold.to_account and not _takes_adaptation_share(tx, stretch, hold.to_account):
                to_party = party_of_account(tx, hold.to_account)
                gates.check_known(tx, hold.to_account, to_party)
                if to_party != (party_of_account(tx, giver) or find_authorization(tx, stretch.authorization).party):
                    gates.check_transfer_abroad(tx, stretch, hold.to_account, to_party, tx.time_ms)
    if hold.use is not None:
        _check_unauthorized(tx, event, Purposeful(*hold.use))


# -- uses and cancellations


def _follow_end(tx: Context, event: Event, place: Ref) -> None:
    """Units that ended on their owner's word, or were captured on the registry's."""
    captured = bool(event.fact("hold"))
    use = _read_use(event) if event.kind == EventKind.USED else None
    if use is not None and not captured:
        _check_unauthorized(tx, event, use)
    for (account, _), stretches in _by_accounts(tx, (m for m in event.moves if m.to_state in TERMINAL)).items():
        for stretch in stretches:
            news = captured and not tx.batch_number(stretch.batch).native
            cause = cause_of(tx, place, event.effective, news)
            if use is not None:
                _use(tx, stretch, cause, account, use)
            else:
                kind = "REVERSAL" if event.kind == EventKind.BUFFERED else event.fact("kind")
                _cancel(tx, stretch, cause, account, kind)


def _read_use(event: Event) -> Purposeful:
    kind = PurposefulKind[event.fact("use")]
    return Purposeful(kind, int(event.fact("year") or 0), event.fact("scheme"), event.fact("entity"))


def _check_unauthorized(tx: Context, event: Event, use: Purposeful) -> None:
    """Towards an NDC, units without an authorization are of use to their host alone."""
    if use.kind != PurposefulKind.NDC:
        return
    for move in event.moves:
        number, batch = tx.batch(move.batch)
        party = party_of_account(tx, tx.any_account(move.from_account)[0])
        if not party:
            continue
        alpha2 = _alpha2(tx, party)
        for stretch in read_stretches(tx.state, number, move.first, move.units):
            if not stretch.authorization:
                gates.check_use_without_authorization(batch, party, alpha2)


def _alpha2(tx: Context, party: str) -> str:
    version = tx.version(f"party:{party}")
    return version.party.alpha2 if version is not None and version.party is not None else ""


def _check_use(tx: Context, stretch: Stretch, use: Purposeful, account: int, effective_ms: int) -> None:
    host = find_authorization(tx, stretch.authorization).party
    user = party_of_account(tx, account) or host
    domestic = user == host and not stretch.version and use.kind == PurposefulKind.NDC
    if not domestic and use.kind != PurposefulKind.COMPLIANCE:
        gates.check_use(tx, stretch, use, effective_ms)


def _use(tx: Context, stretch: Stretch, cause: Cause, account: int, use: Purposeful) -> None:
    """Towards an NDC: the user subtracts in the year of use. For OIMP: the first transfer where that is its definition.

    A host that uses its own units, never first transferred, towards its own NDC has nothing to adjust.
    """
    if not cause.news:
        _check_use(tx, stretch, use, account, cause.effective.ms)
    host = find_authorization(tx, stretch.authorization).party
    terms = terms_of(tx, stretch)
    user = party_of_account(tx, account) or host
    facts = {
        "purpose": PurposefulKind(use.kind).name,
        "scheme": use.scheme,
        "entity": _entity(tx, stretch, account, use),
    }
    if use.kind != PurposefulKind.NDC:
        first = not stretch.version and is_first_on(terms, First.USE_OR_CANCELLATION)
        act(tx, stretch, cause, Doing(ActionKind.USE, first, user, "", 0, facts))
        return
    if user == host and not stretch.version:
        return
    if not stretch.version:
        late = Doing(ActionKind.TRANSFER, True, host, user, 0, {"late": "yes"})
        act(tx, stretch, cause, late)
        stretch = stretch._replace(version=find_authorization(tx, stretch.authorization).version)
    year = use.year if 1900 <= use.year <= 9999 else year_of(cause.effective.ms)
    act(tx, stretch, cause, Doing(ActionKind.USE, False, user, "", year, facts))


def _cancel(tx: Context, stretch: Stretch, cause: Cause, account: int, kind: str) -> None:
    """Cancelled or retired for somebody: the first transfer itself where the definition is use or cancellation."""
    host = find_authorization(tx, stretch.authorization).party
    by = party_of_account(tx, account) or host
    by_definition = is_first_on(terms_of(tx, stretch), First.USE_OR_CANCELLATION)
    first = not stretch.version and by_definition and kind in _CANCELLING
    if first and not cause.news:
        gates.check_use(tx, stretch, Purposeful(PurposefulKind.COMPLIANCE), cause.effective.ms)
    facts = {"cancellation": kind or "VOLUNTARY", "entity": _entity(tx, stretch, account, Purposeful())}
    act(tx, stretch, cause, Doing(ActionKind.CANCEL, first, by, "", 0, facts))


def _entity(tx: Context, stretch: Stretch, account: int, use: Purposeful) -> str:
    """Who used or cancelled, by the number under which the authorization lists it; empty where it lists none."""
    owner = tx.account_number(account).owner
    for entity in terms_of(tx, stretch).entities:
        if entity.participant == owner or (use.entity and use.entity in (entity.name, entity.identification)):
            return entity.identification
    return ""


# -- news and reversals


def _follow_news(tx: Context, event: Event, place: Ref) -> None:
    """A registry showed units as ended: it does not say what for, so they count as cancelled."""
    ended = [m for m in event.moves if m.to_state in TERMINAL and m.to_state != UnitState.CONVERTED]
    for (account, _), stretches in _by_accounts(tx, ended).items():
        for stretch in stretches:
            cause = cause_of(tx, place, event.effective, news=True)
            _cancel(tx, stretch, cause, account, "")


def _follow_reversal(tx: Context, event: Event, place: Ref) -> None:
    """What the reversed event had caused is withdrawn for the units that are back.

    Of units that were converted it was withdrawn then, or is a first transfer of the tonne that stays one.
    """
    height, _, ordinal = event.fact("reverses").partition(".")
    for move, number in _authorized_moves(tx, event.moves):
        if move.from_state != UnitState.CONVERTED:
            withdraw(tx, Ref(int(height), int(ordinal)), number, move.first, move.units, event.effective)
    follow_end_of_pair(tx, event, cause_of(tx, place, event.effective, news=True), _Derived())


class _Derived:
    """What the two identities of a tonne entail, for `twinning`."""

    def transfer(self, tx: Context, stretch: Stretch, cause: Cause, giver: int, taker: int) -> None:
        transfer_abroad(tx, stretch, cause, giver, taker)

    def cancel(self, tx: Context, stretch: Stretch, cause: Cause, account: int, kind: str) -> None:
        _cancel(tx, stretch, cause, account, kind)


def _follow_twin(tx: Context, event: Event, place: Ref) -> None:
    follow_one = follow_end_of_pair if event.fact("form") == "UNWRAP" else follow_pair
    follow_one(tx, event, cause_of(tx, place, event.effective, news=True), _Derived())


_FOLLOWERS: Final[dict[int, Callable[[Context, Event, Ref], None]]] = {
    EventKind.ISSUED: _follow_issue,
    EventKind.EXTENDED: _follow_issue,
    EventKind.HELD: _follow_hold,
    EventKind.ATTESTED: _follow_news,
    EventKind.REVERSED: _follow_reversal,
    EventKind.TWINNED: _follow_twin,
    **dict.fromkeys(_MOVING, _follow_transfer),
    **dict.fromkeys(_ENDING, _follow_end),
}
_WITHOUT_AUTHORIZATIONS: Final[dict[int, Callable[[Context, Event, Ref], None]]] = {
    kind: _FOLLOWERS[kind] for kind in (EventKind.HELD, EventKind.USED)
}
"""Before the first authorization of a ledger only this can be asked: whose NDC may use units."""
