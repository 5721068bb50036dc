"""Answers to proposals: a person's decision, or a rule's, is final on the ledger, then carried to the registry.

As with holds, the ledger is the outbox: a decision is a transaction whose id is made of the proposal alone, so that
there is one for each proposal, whoever decides and however often; after a restart, and by another hub, it is found
there and carried on. A registry answers one proposal once, so that the same answer may be handed in again. What is
proposed is kept in `hub.inbound.proposals`; nothing here decides anything by itself but by a configured rule.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from adapters.capabilities import Action
from adapters.contract import Instruction, Report, UnsendableError
from adapters.web import format_json
from hub.dispatch.decide import compute_pause
from hub.dispatch.lines import Lines
from hub.dispatch.orders import CALLS_MOST, KIND, OLDEST_MS, Order, call_registry, hand_in_again
from hub.dispatch.seat import Seat
from hub.dispatch.sight import Message, Standing
from hub.inbound.proposals import Proposal, Proposals, Rule, find_rule
from hub.ledger_client import LedgerRefusal, Receipt, make_number
from keeling.serials import print_range
from keeling.v1 import operations_pb2 as op

DECIDED: Final = "proposal/"
"""How the name of the `Anchor` begins that is a decision; it ends with the answer, its digest is the message's."""
_ANSWERS: Final = (Action.ACCEPT, Action.DECLINE)
_RULE_PAUSE_MS: Final = 900_000
"""What a rule could not decide is tried again after this, in case somebody set it right."""
ANSWERED_KEPT: Final = 1_000


class CannotDecide(Exception):
    """Nothing was decided; the text says why."""


class Line(NamedTuple):
    """An open proposal as people see it."""

    proposal: Proposal
    decided: str
    """"accept" or "decline"; empty: it waits for a person."""
    why: str
    alert: str
    at_risk: bool
    """It may end before it is answered."""


class Answered(NamedTuple):
    """What became of a proposal that was decided."""

    proposal: Proposal
    decided: str
    outcome: str
    """"accepted", "declined", or the registry's no to our answer."""


class _Undecided(NamedTuple):
    """Why a rule did not decide a proposal, and when it is tried again."""

    why: str
    until_ms: int


@dataclass
class _Answer:
    """A decision that is on its way. Written by `Answering` alone."""

    proposal: Proposal
    order: Order


class Answering:
    """One hub's answers. For one event loop; `step` may be called at any time, and after a restart finds everything."""

    def __init__(self, seat: Seat, lines: Lines, proposals: Proposals, rules: Sequence[Rule] = ()) -> None:
        """`lines`: the dispatcher's, whose turn and quiet times hold for answers too."""
        self.answered: Final[deque[Answered]] = deque(maxlen=ANSWERED_KEPT)
        """What came to an end lately, in order."""
        self._seat, self._lines, self._proposals, self._rules = seat, lines, proposals, rules
        self._answers: dict[tuple[str, str], _Answer] = {}
        self._looked: set[tuple[str, str]] = set()
        """Open proposals of which the ledger knew no decision when this process first saw them."""
        self._undecided: dict[tuple[str, str], _Undecided] = {}
        """Open proposals that a rule fits and could not decide: they wait for a person."""

    def list_open(self) -> list[Line]:
        """What waits: for a person, or for the registry to take an answer."""
        now, found = self._seat.now_ms(), []
        for proposal in self._proposals.list_open(now):
            answer = self._answers.get(_name(proposal))
            decided = answer.order.message.instruction.action.value if answer else ""
            why = (
                (answer.order.message.why or "decided, on its way")
                if answer
                else "waits for a person to accept or decline"
            )
            undecided = self._undecided.get(_name(proposal))
            alert = answer.order.alert if answer else undecided.why if undecided else ""
            found.append(Line(proposal, decided, why, alert, proposal.is_at_risk(now)))
        return found

    async def decide(self, registry: str, reference: str, action: Action, by: str, words: str = "") -> None:
        """A person's decision, final on the ledger when this returns. Raises `CannotDecide`, `LedgerError`.

        What is kept as evidence: who, what, why, and what was proposed; its digest is on the ledger first. A decision
        whose outcome is not known may be handed in again.
        """
        proposal = self._proposals.find(registry, reference)
        if proposal is None or registry not in self._seat.adapters:
            raise CannotDecide(f"no open proposal of {registry} is called {reference}")
        if not by:
            raise CannotDecide("a decision names who decides")
        instruction = self._word(proposal, action)
        await self._keep_evidence(proposal, action, by, words)
        receipt = await self._record(proposal, instruction)
        if receipt.reason == "ID_USED_WITH_OTHER_CONTENT":
            await self._find_decision(proposal)
            raise CannotDecide(f"{reference} was decided otherwise before: {receipt.detail}")
        if not receipt.accepted:
            raise CannotDecide(f"the ledger refuses: {receipt.reason}: {receipt.detail}")
        standing = Standing.UNSURE if receipt.duplicate else Standing.READY
        self._begin(proposal, instruction, standing)

    async def step(self) -> None:
        """Decide what a rule decides, find what was decided elsewhere, and carry every decision as far as it goes."""
        waiting = self._proposals.list_open(self._seat.now_ms())
        self._forget_all_but({_name(proposal) for proposal in waiting})
        for proposal in waiting:
            if proposal.registry not in self._seat.adapters:
                continue
            if _name(proposal) not in self._answers and _name(proposal) not in self._looked:
                await self._find_decision(proposal)
                self._looked.add(_name(proposal))
            rule = find_rule(self._rules, proposal) if _name(proposal) not in self._answers else None
            if rule is not None:
                await self._decide_by(rule, proposal)
        for answer in list(self._answers.values()):
            await self._carry(answer)

    async def _decide_by(self, rule: Rule, proposal: Proposal) -> None:
        """As a rule says. What it cannot decide is told and waits for a person; nothing else stops for it."""
        name, now = _name(proposal), self._seat.now_ms()
        before = self._undecided.get(name)
        if before is not None and now < before.until_ms:
            return
        try:
            await self.decide(*name, rule.action, f"rule:{rule.name}", rule.describe())
        except (CannotDecide, LedgerRefusal) as error:
            if name in self._answers:
                return  # somebody else decided meanwhile, and that is carried
            why = f"rule {rule.name} says {rule.action.value} and cannot: {error}"
            self._undecided[name] = _Undecided(why, now + _RULE_PAUSE_MS)
            if before is None or before.why != why:
                about = {"registry": proposal.registry, "reference": proposal.reference, "why": why}
                self._seat.tell("a rule cannot decide a proposal", about)

    def _forget_all_but(self, waiting: set[tuple[str, str]]) -> None:
        self._looked &= waiting
        self._undecided = {name: each for name, each in self._undecided.items() if name in waiting}

    # -- on the ledger

    def _word(self, proposal: Proposal, action: Action) -> Instruction:
        """The message; raises `CannotDecide` where the registry has no words for it."""
        adapter = self._seat.adapters[proposal.registry]
        if action not in _ANSWERS or action not in adapter.capabilities.actions:
            raise CannotDecide(f"a proposal of {proposal.registry} is accepted or declined, not {action}")
        details = {"request": proposal.request} if proposal.request else {}
        instruction = Instruction(
            key=_digest(proposal).hex()[:32],
            action=action,
            account=proposal.to_account,
            lots=proposal.lots,
            answers=proposal.identifier,
            details=details,
        )
        try:
            adapter.compose(instruction)
        except UnsendableError as error:
            raise CannotDecide(f"it cannot be said to {proposal.registry}: {error}") from error
        return instruction

    async def _record(self, proposal: Proposal, instruction: Instruction) -> Receipt:
        if self._seat.now_ms() - proposal.at_ms > OLDEST_MS:
            raise CannotDecide(f"{proposal.reference} is too old to be decided here: answer it at {proposal.registry}")
        body = self._seat.adapters[proposal.registry].compose(instruction)
        said = op.Anchor(
            kind=KIND,
            name=f"{DECIDED}{instruction.key}/{instruction.action.value}",
            digest=hashlib.sha256(body).digest(),
        )
        return await self._seat.ledger.submit(said, number=_number(proposal))

    async def _keep_evidence(self, proposal: Proposal, action: Action, by: str, words: str) -> None:
        document = {
            "registry": proposal.registry,
            "proposal": proposal.reference,
            "units": str(proposal.units),
            "serials": [print_range(lot) for lot in proposal.lots],
            "from": proposal.account,
            "to": proposal.to_account,
            "decision": action.value,
            "by": by,
            "why": words,
            "at_ms": str(self._seat.now_ms()),
            "proposed": self._seat.keep(proposal.evidence).hex(),
        }
        digest = self._seat.keep(format_json(document))
        receipt = await self._seat.ledger.submit(op.Anchor(kind=KIND, name=digest.hex()[:32], digest=digest))
        if not receipt.accepted:
            raise CannotDecide(f"the ledger refuses the evidence: {receipt.reason}: {receipt.detail}")

    async def _find_decision(self, proposal: Proposal) -> None:
        """Take up a decision that is on the ledger already: which one, its own id tells."""
        receipt = await self._seat.ledger.find_receipt(_number(proposal))
        if receipt is None or not receipt.accepted:
            return
        for action in _ANSWERS:
            try:
                instruction = self._word(proposal, action)
                again = await self._record(proposal, instruction)
            except CannotDecide:
                continue
            if again.accepted:
                self._begin(proposal, instruction, Standing.UNSURE)
                return

    def _begin(self, proposal: Proposal, instruction: Instruction, standing: Standing) -> None:
        self._undecided.pop(_name(proposal), None)
        if _name(proposal) not in self._answers:
            message, now = Message(instruction, standing), self._seat.now_ms()
            self._answers[_name(proposal)] = _Answer(
                proposal, Order(proposal.registry, message, now, proposal.reference)
            )

    # -- at the registry

    async def _carry(self, answer: _Answer) -> None:
        """Send it, or ask what became of it, until it waits or is over."""
        for _ in range(CALLS_MOST):
            if self._proposals.find(answer.proposal.registry, answer.proposal.reference) is None:
                self._end(answer, "decided, as its registry tells")
                return
            outcome = _read_outcome(answer.order)
            if outcome:
                self._end(answer, outcome)
                return
            if not answer.order.is_due(self._lines, self._seat.now_ms()):
                return
            await self._call(answer)

    async def _call(self, answer: _Answer) -> None:
        order = answer.order
        await call_registry(self._seat, self._lines, order)
        said, now = order.message.answer, self._seat.now_ms()
        if isinstance(said, Report) and said.due_ms:
            # That of the transaction; what became of an answer shows at once.
            again = now + compute_pause(order.began_ms, now)
            order.message = order.message._replace(not_before_ms=again)
        if order.message.standing is Standing.NOTHING:
            hand_in_again(order, now, self._seat.jitter())

    def _end(self, answer: _Answer, outcome: str) -> None:
        self._proposals.close(answer.proposal)
        self._answers.pop(_name(answer.proposal), None)
        self.answered.append(Answered(answer.proposal, answer.order.message.instruction.action.value, outcome))


def _read_outcome(order: Order) -> str:
    """How the answer ended; empty: it has not."""
    if not order.is_over:
        return ""
    if order.refusal:
        return f"not taken: {order.refusal}"
    return "accepted" if order.message.instruction.action is Action.ACCEPT else "declined"


def _name(proposal: Proposal) -> tuple[str, str]:
    return proposal.registry, proposal.reference


def _digest(proposal: Proposal) -> bytes:
    return hashlib.sha256(f"proposal|{proposal.registry}|{proposal.reference}".encode()).digest()


def _number(proposal: Proposal) -> bytes:
    """The id of the decision: of the proposal alone, so that the ledger takes one."""
    return make_number(proposal.at_ms, _digest(proposal))
