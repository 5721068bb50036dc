"""`keeling account`: open, list, show, policies, links to registry accounts, mandates, close."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import EVIDENCE, GRADE, REFERENCE, Grade, build_evidence, find_positions, parse_positions
from cli.command import reads, writes
from cli.exits import misused
from cli.output import Answer, Grid, facts_of
from cli.quantities import format_amount, format_time, parse_amount, parse_moment, parse_units
from cli.session import Session
from cli.writing import Change

if TYPE_CHECKING:
    from keeling.v1 import ledger_pb2 as pb
    from keeling.v1 import operations_pb2 as op

app = typer.Typer(help="Accounts: who owns units and cash, and who may approve what.", no_args_is_help=True)

ACCOUNT = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name.")]
_APPROVERS = Annotated[
    list[str] | None,
    typer.Option("--approver", metavar="KEY", help="Public key in hex, or a key file; may be repeated. None: all."),
]
_RULES = Annotated[
    list[str] | None,
    typer.Option(
        "--rule",
        metavar="N[:OPERATIONS][:FROM]",
        help="N different people, for these operations (transfer,retire), from this many units on.",
    ),
]
_DELAY = Annotated[str, typer.Option("--delay", metavar="TIME", help="A change of the policy takes effect after this.")]
_INCOMING = Annotated[bool, typer.Option("--incoming-approved", help="Units come in only with our approval.")]


class Control(StrEnum):
    """Who can move the units at the registry."""

    CUSTODY = "custody"
    BLOCKED = "blocked"
    OWNER = "owner"


@writes(app, "open")
def open_account(
    session: Session,
    account: ACCOUNT,
    owner: Annotated[str | None, typer.Option("--owner", help="The participant; default: yours.")] = None,
    parent: Annotated[str, typer.Option("--parent", help="The account above it in the owner's tree.")] = "",
    approver: _APPROVERS = None,
    rule: _RULES = None,
    delay: _DELAY = "0ms",
    incoming_approved: _INCOMING = False,
) -> Change:
    """Open an account, or a sub-account below one of the same owner.

    Without a policy every active approval key of the owner may approve alone.

    \b
    Example:
      keeling account open A
      keeling account open A/plant-1 --parent A
      keeling account open T --approver asha.key --approver ravi.key --rule 2:retire:1000
    """
    from keeling.v1 import operations_pb2 as op

    policy = build_policy(approver, rule, delay, incoming_approved)
    return Change(
        [op.OpenAccount(account=account, owner=owner or session.profile.participant, parent=parent, policy=policy)],
        lambda _: [f"account {account} is open"],
    )


@writes(app, "policy")
def set_policy(
    session: Session,
    account: ACCOUNT,
    approver: _APPROVERS = None,
    rule: _RULES = None,
    delay: _DELAY = "0ms",
    incoming_approved: _INCOMING = False,
) -> Change:
    """Replace an account's policy: who approves, how many people from which amount on.

    The policy in force approves its successor, which takes effect after the delay the old one states.

    \b
    Example:
      keeling account policy A --approver asha.key --approver ravi.key --rule 1 --rule 2:retire,transfer:1000
    """
    from keeling.v1 import operations_pb2 as op

    policy = build_policy(approver, rule, delay, incoming_approved)
    return Change(
        [op.SetAccountPolicy(account=account, policy=policy or op.AccountPolicy())],
        lambda _: [f"the policy of {account} is set"],
    )


def build_policy(
    approvers: list[str] | None, rules: list[str] | None, delay: str, incoming: bool
) -> op.AccountPolicy | None:
    """The policy of the options; None when none was given."""
    from cli.quantities import parse_duration
    from keeling.v1 import operations_pb2 as op

    try:
        delay_ms = parse_duration(delay)
    except ValueError as error:
        raise misused(str(error)) from error
    if not (approvers or rules or delay_ms or incoming):
        return None
    return op.AccountPolicy(
        approvers=[parse_key(text) for text in approvers or ()],
        rules=[parse_rule(text) for text in rules or ()],
        delay_ms=delay_ms,
        incoming_approved=incoming,
    )


def parse_key(text: str) -> bytes:
    """A public key from 64 hex digits, or from a key file's readable line."""
    from pathlib import Path

    path = Path(text).expanduser()
    if path.is_file():
        from network.keys import describe_key_file

        return describe_key_file(path).public_key
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise misused(f"{text!r} is neither a key file nor a public key in hex") from error
    if len(key) != 32:
        raise misused(f"{text!r} has {len(key)} bytes", "a public key has 32: 64 hex digits")
    return key


def parse_operations(text: str) -> list[int]:
    """Operation numbers of names such as "transfer,retire"."""
    from keeling.v1 import operations_pb2 as op

    numbers = {field.name: field.number for field in op.Operation.DESCRIPTOR.fields}
    names = [name.strip().replace("-", "_") for name in text.split(",") if name.strip()]
    for name in names:
        if name not in numbers:
            raise misused(f"{name!r} is no operation", f"there are {', '.join(numbers)}")
    return sorted({numbers[name] for name in names})


def parse_rule(text: str) -> op.ApprovalRule:
    """Read "2", "2:retire,transfer" or "2:retire:1000" (people, operations, from how many units on)."""
    from keeling.v1 import operations_pb2 as op

    people, _, rest = text.partition(":")
    operations, _, threshold = rest.partition(":")
    try:
        return op.ApprovalRule(
            approvals=parse_units(people),
            operations=parse_operations(operations),
            from_units=parse_units(threshold) if threshold else 0,
        )
    except ValueError as error:
        raise misused(
            f"the rule {text!r}: {error}", "write PEOPLE[:OPERATIONS][:FROM], such as 2:retire:1000"
        ) from error


@writes(app, "close")
def close_account(session: Session, account: ACCOUNT) -> Change:
    """Close an empty account. What ended in it stays on record.

    \b
    Example:
      keeling account close A/plant-1
    """
    from keeling.v1 import operations_pb2 as op

    return Change([op.CloseAccount(account=account)], lambda _: [f"account {account} is closed"])


@writes(app, "link")
def link_account(
    session: Session,
    account: ACCOUNT,
    registry: Annotated[str, typer.Option("--registry", help="The outside registry, such as verra.")],
    registry_account: Annotated[str, typer.Option("--registry-account", help="The account's number there.")],
    control: Annotated[Control, typer.Option("--control", help="Who can move the units there.")],
    hub: Annotated[str | None, typer.Option("--hub", help="Who holds the credentials; default: you.")] = None,
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="SERIALS", help="Units there that are this account's; may be repeated."),
    ] = None,
    claim_positions: Annotated[
        list[str] | None,
        typer.Option("--claim-positions", metavar="BATCH:FIRST-LAST", help="The same by positions."),
    ] = None,
    evidence: EVIDENCE = None,
    grade: GRADE = Grade.C,
    reference: REFERENCE = "",
) -> Change:
    """Tie an account to one at an outside registry, and claim units that are shown there.

    Imported units lie in unassigned@REGISTRY, visible and not tradable, until a link claims them with evidence.

    \b
    Example:
      keeling account link A --registry verra --registry-account 1234 --control owner
      keeling account link A --registry verra --registry-account 1234 --control custody \\
        --claim "19385-941467007-941467431-VCS-VCU-…-1" --evidence statement.pdf
    """
    from keeling.v1 import operations_pb2 as op

    claims = [parse_positions(text) for text in claim_positions or ()]
    claims += find_positions(session, claim or ())
    operation = op.Link(
        account=account,
        registry=registry,
        registry_account=registry_account,
        hub=hub or session.profile.participant,
        control=op.Link.Control.Value(control.name),
        claims=claims,
        evidence=build_evidence(evidence, grade, reference),
    )
    wanted = sum(item.units for item in claims)
    told = f"account {account} is linked to {registry_account} at {registry} ({control.value})"

    def tell(result: pb.TransactionResult) -> list[str]:
        taken = sum(move.range.units for each in result.events if each.kind == "LINKED" for move in each.moves)
        contested = f"; {wanted - taken:,} units are claimed already: a disagreement is open" if wanted > taken else ""
        return [told + (f"; {taken:,} units claimed" if taken else "") + contested]

    return Change([operation], tell)


@writes(app, "mandate")
def mandate_account(
    session: Session,
    account: ACCOUNT,
    mandate: Annotated[str, typer.Argument(metavar="MANDATE", help="A name for it.")],
    grantee: Annotated[str, typer.Option("--grantee", help="The participant who may act.")] = "",
    operations: Annotated[str, typer.Option("--operations", help="transfer, hold, or both.")] = "transfer,hold",
    each: Annotated[int, typer.Option("--each", parser=parse_units, help="Most units in one operation.")] = "0",  # type: ignore[assignment]
    total: Annotated[int, typer.Option("--total", parser=parse_units, help="Most units in all.")] = "0",  # type: ignore[assignment]
    until: Annotated[str | None, typer.Option("--until", metavar="DATE", help="When it ends.")] = None,
    programme: Annotated[str, typer.Option("--programme", help="Only units of this programme.")] = "",
    price: Annotated[
        str | None, typer.Option("--price", metavar="MIN-MAX", help="Minor units of --currency per unit.")
    ] = None,
    currency: Annotated[str, typer.Option("--currency", metavar="CODE@BANK", help="Of --price.")] = "",
    revoke: Annotated[bool, typer.Option("--revoke", help="End the mandate instead.")] = False,
) -> Change:
    """Let another participant hold or transfer from an account within limits, or end that.

    \b
    Example:
      keeling account mandate A spot --grantee exchange --each 10,000 --total 100,000 --until 2027-01-01
      keeling account mandate A spot --revoke
    """
    from keeling.v1 import operations_pb2 as op

    if revoke:
        return Change([op.RevokeMandate(account=account, mandate=mandate)], lambda _: [f"mandate {mandate} has ended"])
    if not grantee or until is None:
        raise misused("a mandate names who may act and until when", "give --grantee and --until")
    low, _, high = (price or "").partition("-")
    operation = op.GrantMandate(
        account=account,
        mandate=mandate,
        grantee=grantee,
        operations=parse_operations(operations),
        units_each=each,
        units_total=total,
        programme=programme,
        price_min=parse_amount(low or "0", 0),
        price_max=parse_amount(high or "0", 0),
        currency=currency,
        until_ms=parse_moment(until).ms,
    )
    return Change([operation], lambda _: [f"{grantee} may act for {account} under mandate {mandate}"])


def _describe_window(window: pb.LinkWindow) -> str:
    """When a link rests, and why."""
    from keeling.v1 import operations_pb2 as op

    until = f" until {format_time(window.until_ms)}" if window.until_ms else ""
    since = f" from {format_time(window.from_ms)}" if window.from_ms else ""
    return f"{op.LinkState.State.Name(window.state)}{since}{until}: {window.reason}"


@reads(app, "list")
def list_accounts(session: Session) -> Answer:
    """List all accounts with owner, link and cash.

    \b
    Example:
      keeling account list
    """
    from keeling.v1 import ledger_pb2 as pb

    pages = session.ask_pages(session.ledger.ListAccounts, pb.ListRequest())
    found = [account for page in pages for account in page.accounts]
    rows = [(a.account, a.owner, describe_link(a), describe_cash(a), "closed" if a.closed else "") for a in found]
    return Answer(
        {"accounts": [facts_of(account) for account in found]},
        [Grid(("account", "owner", "link", "cash", ""), rows, "no accounts yet: keeling account open NAME")],
    )


@reads(app, "show")
def show_account(session: Session, account: ACCOUNT) -> Answer:
    """Show one account: policy, link, cash, mandates. Its units: keeling available --account.

    \b
    Example:
      keeling account show A
    """
    from keeling.v1 import ledger_pb2 as pb

    found = session.ask(session.ledger.GetAccount, pb.GetAccountRequest(account=account))
    rows = [
        ("account", found.account),
        ("owner", found.owner or "nobody"),
        ("parent", found.parent or "none"),
        ("link", describe_link(found)),
        ("link state", found.link_state),
        ("cash", describe_cash(found) or "none"),
        ("policy", describe_policy(found.policy)),
        ("state", "closed" if found.closed else "open"),
    ]
    rows += [("announced", _describe_window(window)) for window in found.link_windows]
    if found.HasField("next_policy"):
        from_time = format_time(found.next_policy_from_ms)
        rows.append(("next policy", f"{describe_policy(found.next_policy)} (from {from_time})"))
    rows += [("mandate", f"{m.mandate} of {m.grantee} until {format_time(m.until_ms)}") for m in found.mandates]
    return Answer(facts_of(found), [Grid(("", ""), rows)])


def describe_link(account: pb.Account) -> str:
    """The account's registry account, in words."""
    from keeling.v1 import operations_pb2 as op

    if not account.HasField("link"):
        return ""
    control = op.Link.Control.Name(account.link.control).lower()
    return f"{account.link.registry} {account.link.registry_account} ({control}, hub {account.link.hub})"


def describe_cash(account: pb.Account) -> str:
    """The account's cash by currency, as decimals."""
    return ", ".join(f"{format_amount(cash.amount, cash.scale)} {cash.currency}" for cash in account.cash)


def describe_policy(policy: op.AccountPolicy) -> str:
    """A policy in one line."""
    from keeling.v1 import operations_pb2 as op

    names = {field.number: field.name for field in op.Operation.DESCRIPTOR.fields}
    who = f"{len(policy.approvers)} named keys" if policy.approvers else "any approval key of the owner"
    rules = [
        f"{rule.approvals} people"
        + (f" for {', '.join(names.get(number, str(number)) for number in rule.operations)}" if rule.operations else "")
        + (f" from {rule.from_units:,} units" if rule.from_units else "")
        for rule in policy.rules
    ]
    incoming = "; incoming units need approval" if policy.incoming_approved else ""
    return f"{who}; {', '.join(rules) or '1 person for everything'}{incoming}"
