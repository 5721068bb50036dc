"""Any tlog-policy file by its grammar, and the one canonical file of a set of validators."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.ed25519 import SMALL_ORDER
from keeling.note import KeyType, NoteKey, format_vkey
from keeling.policy import (
    Policy,
    PolicyGroup,
    PolicyLog,
    PolicyWitness,
    Validator,
    check_policy,
    describe_policy,
    faults,
    format_policy,
    format_policy_file,
    hash_policy,
    parse_policy,
    parse_policy_file,
    quorum,
)
from keeling.strict import FormatError
from tests.keeling.log_samples import ORIGIN, policy_of, validator

LOG = format_vkey(validator(1).log_key)
LOG_2 = format_vkey(validator(2).log_key)
W1, W2, W3 = (format_vkey(validator(ordinal).cosigner_key) for ordinal in (1, 2, 3))

FULL = f"""# a comment
\t
log {LOG} https://ledger.example/
log\t{LOG_2}

witness a {W1} https://a.example/
witness b {W2}
  witness  c {W3}
group inner any b c
group outer all a inner
quorum outer
"""


@pytest.mark.parametrize(
    ("n", "q", "f"), [(1, 1, 0), (2, 2, 0), (3, 3, 0), (4, 3, 1), (5, 4, 1), (6, 5, 1), (7, 5, 2), (10, 7, 3)]
)
def test_quorum_and_faults(n: int, q: int, f: int) -> None:
    assert (quorum(n), faults(n)) == (q, f)


@given(st.integers(1, 10_000))
def test_two_quorums_share_an_honest_validator(n: int) -> None:
    assert 2 * quorum(n) - n > faults(n)
    assert quorum(n) <= n - faults(n), "liars alone must not be able to stop the ledger"


def test_policy_file_is_read() -> None:
    policy = parse_policy_file(FULL.encode())
    assert policy.logs == (
        PolicyLog(validator(1).log_key, "https://ledger.example/"),
        PolicyLog(validator(2).log_key, None),
    )
    assert policy.witnesses[0] == PolicyWitness("a", validator(1).cosigner_key, "https://a.example/")
    assert policy.groups == (PolicyGroup("inner", 1, ("b", "c")), PolicyGroup("outer", 2, ("a", "inner")))
    assert policy.quorum == "outer"
    assert parse_policy_file(format_policy_file(policy)) == policy


MET = [
    ("log only", ["log"], False),
    ("no log", ["a", "b"], False),
    ("a and one of the others", ["log", "a", "c"], True),
    ("all", ["log", "a", "b", "c"], True),
    ("inner group only", ["log", "b", "c"], False),
]


@pytest.mark.parametrize(("name", "signers", "met"), MET)
def test_policy_is_met(name: str, signers: list[str], met: bool) -> None:
    keys = {"log": validator(2).log_key} | {n: validator(i).cosigner_key for i, n in enumerate("abc", start=1)}
    assert parse_policy_file(FULL.encode()).is_met([keys[signer] for signer in signers]) is met


def test_policy_without_quorum_needs_a_log_only() -> None:
    policy = parse_policy_file(f"log {LOG}\nquorum none\n".encode())
    assert policy.is_met([validator(1).log_key])
    assert not policy.is_met([validator(2).log_key])
    assert format_policy_file(policy) == f"log {LOG}\nquorum none\n".encode()


def test_names_are_octets() -> None:
    data = b"log " + LOG.encode() + b"\nwitness \xff\xfe " + W1.encode() + b"\nquorum \xff\xfe\n"
    policy = parse_policy_file(data)
    assert format_policy_file(policy) == data


HEAD = f"log {LOG}\nwitness a {W1}\nwitness b {W2}\n"
MALFORMED = [
    ("a carriage return", HEAD + "quorum a\r\n", "control character 0d"),
    ("a DEL", HEAD + "# \x7f\nquorum a\n", "control character 7f"),
    ("a form feed", HEAD + "\f\nquorum a\n", "control character 0c"),
    ("no-break space as separator", HEAD + "quorum\xa0a\n", "line 4"),
    ("another word", HEAD + "trust a\nquorum a\n", "line 4"),
    ("capitals", HEAD + "Quorum a\n", "line 4"),
    ("log without key", "log\nquorum none\n", "line 1"),
    ("log with two URLs", f"log {LOG} a b\nquorum none\n", "line 1"),
    ("a key that is none", "log abc\nquorum none\n", "line 1: verifier key"),
    ("one log twice", f"log {LOG}\nlog {LOG}\nquorum none\n", "twice among the logs"),
    ("witness without key", "witness a\nquorum none\n", "line 1"),
    ("witness with a plain key", f"witness a {LOG}\nquorum none\n", "type 04"),
    ("one witness key twice", HEAD + f"witness c {W1}\nquorum a\n", "twice among the witnesses"),
    ("one name twice", HEAD + f"witness a {W3}\nquorum a\n", "defined twice"),
    ("witness named none", f"witness none {W1}\nquorum none\n", "reserved"),
    ("group with a witness's name", HEAD + "group a any b\nquorum a\n", "defined twice"),
    ("group named none", HEAD + "group none any b\nquorum none\n", "reserved"),
    ("group without members", HEAD + "group g any\nquorum g\n", "asks for 1 of 0"),
    ("empty group of all", HEAD + "group g all\nquorum g\n", "asks for 0 of 0"),
    ("group of zero", HEAD + "group g 0 a\nquorum g\n", "asks for 0 of 1"),
    ("group of more than it has", HEAD + "group g 3 a b\nquorum g\n", "asks for 3 of 2"),
    ("threshold with a leading zero", HEAD + "group g 01 a\nquorum g\n", "threshold"),
    ("member not defined", HEAD + "group g any c\nquorum g\n", "'c' of group 'g'"),
    ("member of itself", HEAD + "group g any g\nquorum g\n", "'g' of group 'g'"),
    ("member twice in a group", HEAD + "group g any a a\nquorum g\n", "already in a group"),
    ("member in two groups", HEAD + "group g any a\ngroup h any a\nquorum g\n", "already in a group"),
    ("quorum not defined", HEAD + "quorum c\n", "quorum 'c'"),
    ("quorum before its definition", "quorum a\n" + HEAD, "quorum 'a'"),
    ("no quorum", HEAD, "0 quorum lines"),
    ("two quorums", HEAD + "quorum a\nquorum a\n", "2 quorum lines"),
    ("more than 64 KiB", HEAD + "#" * 65_536 + "\nquorum a\n", "the most is"),
]


@pytest.mark.parametrize("case", MALFORMED, ids=[case[0] for case in MALFORMED])
def test_malformed_policy_file_is_refused(case: tuple[str, str, str]) -> None:
    _, text, reason = case
    with pytest.raises(FormatError, match=reason):
        parse_policy_file(text.encode())


@pytest.mark.parametrize("n", [1, 4, 32])
def test_policy_has_one_file_that_any_tool_reads(n: int) -> None:
    policy = policy_of(n)
    data = format_policy(policy)
    assert parse_policy(data) == policy
    assert parse_policy_file(data) == describe_policy(policy)
    assert hash_policy(data) == sha256(data).digest()
    assert f"\ngroup participants {quorum(n)} p1".encode() in data


def test_canonical_file() -> None:
    lines = format_policy(policy_of(2)).decode().split("\n")
    assert lines == [
        f"log {LOG}",
        f"log {LOG_2}",
        f"witness p1 {W1}",
        f"witness p2 {W2}",
        "group participants 2 p1 p2",
        "quorum participants",
        f"# keeling vote p1 {validator(1).vote_key.hex()}",
        f"# keeling vote p2 {validator(2).vote_key.hex()}",
        "",
    ]


CANONICAL = format_policy(policy_of(4))


def swap_lines(first: int, second: int) -> bytes:
    lines = CANONICAL.split(b"\n")
    lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


OTHER_SPELLINGS = [
    ("a comment more", b"# hello\n" + CANONICAL),
    ("an empty line more", CANONICAL + b"\n"),
    ("no newline at the end", CANONICAL[:-1]),
    ("a tab", CANONICAL.replace(b"quorum ", b"quorum\t")),
    ("two spaces", CANONICAL.replace(b"quorum ", b"quorum  ")),
    ("a URL", CANONICAL.replace(b"\nwitness p1", b" https://a.example/\nwitness p1")),
    ("a word for the threshold", format_policy(policy_of(1)).replace(b"participants 1 ", b"participants any ")),
    ("another threshold", CANONICAL.replace(b"participants 3 ", b"participants 2 ")),
    ("another group name", CANONICAL.replace(b"participants", b"validators")),
    ("members in another order", CANONICAL.replace(b"p1 p2 p3 p4\n", b"p2 p1 p3 p4\n")),
    ("no quorum", CANONICAL.replace(b"quorum participants", b"quorum none")),
    ("witnesses in another order", swap_lines(4, 5)),
    ("votes in another order", swap_lines(10, 11)),
    ("a vote key in capitals", CANONICAL[:-65] + CANONICAL[-65:].upper()),
    ("a vote line missing", CANONICAL[: CANONICAL.rindex(b"# keeling")]),
    ("a vote line more", CANONICAL + b"# keeling vote p5 " + b"00" * 32 + b"\n"),
    ("vote of another name", CANONICAL.replace(b"vote p4", b"vote p5")),
    ("a short vote key", CANONICAL[:-3] + b"\n"),
    ("nothing", b""),
]


@pytest.mark.parametrize("data", [case[1] for case in OTHER_SPELLINGS], ids=[case[0] for case in OTHER_SPELLINGS])
def test_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_policy(data)


def test_no_changed_byte_is_the_same_policy() -> None:
    data = format_policy(policy_of(1))
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        try:
            assert parse_policy(changed) != policy_of(1)
        except FormatError:
            continue


A, B = validator(1), validator(2)
BAD_SETS: list[tuple[str, list[Validator], str]] = [
    ("nobody", [], "1 to 32"),
    ("33", [validator(ordinal) for ordinal in range(1, 34)], "1 to 32"),
    ("an empty name", [A._replace(name="")], "key name"),
    ("a name with a space", [A._replace(name="a b")], "key name"),
    ("a name with DEL", [A._replace(name="a\x7f")], "policy file"),
    ("named none", [A._replace(name="none")], "'none'"),
    ("named like the group", [A._replace(name="participants")], "'participants'"),
    ("log key with another name", [A._replace(log_key=A.log_key._replace(name="x"))], "named"),
    ("log key of type 04", [A._replace(log_key=A.log_key._replace(type=KeyType.COSIGNATURE))], "type 01"),
    ("cosigner key of type 01", [A._replace(cosigner_key=A.cosigner_key._replace(type=KeyType.PLAIN))], "type 04"),
    ("cosigner key name with DEL", [A._replace(cosigner_key=A.cosigner_key._replace(name="\x7f"))], "policy file"),
    ("one key for two roles", [A._replace(vote_key=A.log_key.public_key)], "every role"),
    ("one key for two validators", [A, B._replace(vote_key=A.vote_key)], "every role"),
    ("a vote key of small order", [A._replace(vote_key=min(SMALL_ORDER))], "small order"),
    ("one name twice", [A, B._replace(name="p1")], "two validators"),
]


@pytest.mark.parametrize("case", BAD_SETS, ids=[case[0] for case in BAD_SETS])
def test_set_of_validators_is_refused(case: tuple[str, list[Validator], str]) -> None:
    _, validators, reason = case
    with pytest.raises(FormatError, match=reason):
        check_policy(Policy(ORIGIN, tuple(validators)))


def test_log_keys_that_no_line_tells_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(NoteKey, "id", property(lambda key: b"same"))
    with pytest.raises(FormatError, match="made anew"):
        check_policy(policy_of(2))


def test_policy_too_big_for_any_reader_is_refused() -> None:
    validators = tuple(v._replace(name=v.name * 1_000) for v in policy_of(32).validators)
    with pytest.raises(FormatError, match="shorten the names"):
        format_policy(Policy(ORIGIN, validators))
