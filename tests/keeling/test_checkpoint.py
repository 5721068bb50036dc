"""The three lines of a checkpoint, and the published form of a final one: nothing else passes."""

from __future__ import annotations

import pytest

from keeling.checkpoint import (
    Checkpoint,
    FinalCheckpoint,
    check_final,
    check_trusted,
    cosign_checkpoint,
    format_checkpoint,
    format_final,
    parse_checkpoint,
    sign_checkpoint,
)
from keeling.merkle import EMPTY_ROOT
from keeling.note import Note, NoteRefused, SignatureLine, format_note, parse_note
from keeling.policy import describe_policy, quorum
from keeling.strict import NUMBER_MAX, FormatError
from tests.keeling.log_samples import (
    ORIGIN,
    TIME,
    cosignature,
    final_note,
    log_line,
    policy_of,
    seed,
    signer,
    validator,
)

HEAD = Checkpoint(ORIGIN, 7, bytes(range(32)))
ROOT = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
EMPTY = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize("checkpoint", [HEAD, Checkpoint("x y", 0, EMPTY_ROOT), Checkpoint("x", NUMBER_MAX, bytes(32))])
def test_checkpoint_returns(checkpoint: Checkpoint) -> None:
    assert parse_checkpoint(format_checkpoint(checkpoint)) == checkpoint


MALFORMED = [
    "",
    f"{ORIGIN}\n7\n",
    f"{ORIGIN}\n7\n{ROOT}",
    f"\n7\n{ROOT}\n",
    f"{ORIGIN}\n07\n{ROOT}\n",
    f"{ORIGIN}\n-7\n{ROOT}\n",
    f"{ORIGIN}\n{NUMBER_MAX + 1}\n{ROOT}\n",
    f"{ORIGIN}\n7 \n{ROOT}\n",
    f"{ORIGIN}\n7\n{ROOT[:-1]}\n",
    f"{ORIGIN}\n7\nAAEC\n",
    f"{ORIGIN}\n7\n{ROOT[:-2]}9=\n",
    f"{ORIGIN}\n0\n{ROOT}\n",
    f"{ORIGIN}\n7\n{ROOT}\nextension\n",
    f"{ORIGIN}\n7\n{ROOT}\n\n",
    f"{ORIGIN}\t\n7\n{ROOT}\n",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    "checkpoint",
    [
        Checkpoint("", 7, bytes(32)),
        Checkpoint("a\nb", 7, bytes(32)),
        Checkpoint("a", -1, bytes(32)),
        Checkpoint("a", 7, bytes(31)),
        Checkpoint("a", 0, bytes(32)),
    ],
)
def test_impossible_checkpoint_is_not_written(checkpoint: Checkpoint) -> None:
    with pytest.raises(FormatError):
        format_checkpoint(checkpoint)


def test_empty_tree_has_its_root() -> None:
    assert format_checkpoint(Checkpoint("x", 0, EMPTY_ROOT)) == f"x\n0\n{EMPTY}\n"


def test_keys_sign_in_their_role_only() -> None:
    key, secret = validator(1).log_key, signer(seed(1, 1))
    with pytest.raises(FormatError, match="origin"):
        sign_checkpoint(HEAD._replace(origin="other"), key, secret)
    with pytest.raises(FormatError, match="no cosignatures"):
        cosign_checkpoint(HEAD, key, TIME, secret)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 32])
def test_final_checkpoint_has_one_log_line_and_exactly_a_quorum(n: int) -> None:
    data = final_note(HEAD, n)
    expected = FinalCheckpoint(HEAD, tuple(f"p{i}" for i in range(1, quorum(n) + 1)), (TIME,) * quorum(n))
    assert check_final(data, policy_of(n)) == expected
    assert len(parse_note(data).signatures) == 1 + quorum(n)
    assert check_trusted(data, describe_policy(policy_of(n)))[0] == HEAD


def test_published_form_does_not_depend_on_the_order_of_arrival() -> None:
    lines = [log_line(HEAD, 2), *(cosignature(HEAD, i) for i in (1, 2, 4)), log_line(HEAD, 3)]
    assert format_final(HEAD, lines, policy_of(4)) == format_final(HEAD, reversed(lines), policy_of(4))
    assert check_final(format_final(HEAD, lines, policy_of(4)), policy_of(4)).signers == ("p1", "p2", "p4")


@pytest.mark.parametrize("ordinals", [(), (1,), (1, 2), (1, 2, 2)])
def test_too_few_lines_make_no_final_checkpoint(ordinals: tuple[int, ...]) -> None:
    with pytest.raises(NoteRefused, match="needs 1 and 3"):
        format_final(HEAD, [log_line(HEAD), *(cosignature(HEAD, i) for i in ordinals)], policy_of(4))
    with pytest.raises(NoteRefused, match="0 log signatures"):
        format_final(HEAD, [cosignature(HEAD, i) for i in (1, 2, 3)], policy_of(4))


LOG = log_line(HEAD)
C1, C2, C3, C4 = (cosignature(HEAD, ordinal) for ordinal in (1, 2, 3, 4))
OTHER_HEAD = HEAD._replace(size=8)
NOT_FINAL: list[tuple[str, list[SignatureLine], str]] = [
    ("no cosignature", [LOG], "0 cosignatures"),
    ("one too few", [LOG, C1, C2], "2 cosignatures"),
    ("one too many", [LOG, C1, C2, C3, C4], "4 cosignatures"),
    ("no log line", [C1, C2, C3, C4], "first signature line"),
    ("a second log line", [LOG, log_line(HEAD, 2), C2, C3], "unknown to the policy"),
    ("log line of a stranger", [log_line(HEAD, 5), C1, C2, C3], "first signature line"),
    ("log line of another head", [log_line(OTHER_HEAD), C1, C2, C3], "not good"),
    ("log line under another name", [LOG._replace(name="other"), C1, C2, C3], "not of the key"),
    ("log line at the end", [C1, C2, C3, LOG], "first signature line"),
    ("another order", [LOG, C2, C1, C3], "out of its order"),
    ("one twice", [LOG, C1, C1, C2], "doubled"),
    ("one twice at another time", [LOG, C1, cosignature(HEAD, 1, TIME + 1), C2], "doubled"),
    ("a stranger", [LOG, C1, C2, cosignature(HEAD, 5)], "unknown to the policy"),
    ("cosignature of another head", [LOG, C1, C2, cosignature(OTHER_HEAD, 3)], "not good"),
    ("another time", [LOG, C1, C2, C3._replace(signature=bytes(8) + C3.signature[8:])], "not good"),
]


@pytest.mark.parametrize("case", NOT_FINAL, ids=[case[0] for case in NOT_FINAL])
def test_checkpoint_is_not_final(case: tuple[str, list[SignatureLine], str]) -> None:
    _, lines, reason = case
    with pytest.raises(NoteRefused, match=reason):
        check_final(format_note(Note(format_checkpoint(HEAD), tuple(lines))), policy_of(4))


def test_checkpoint_of_another_log_is_not_final() -> None:
    with pytest.raises(NoteRefused, match="the policy is for"):
        check_final(final_note(HEAD, 4), policy_of(4)._replace(origin="other"))


def test_no_changed_bit_leaves_a_final_checkpoint() -> None:
    data = final_note(HEAD, 4)
    for at in range(len(data)):
        changed = data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]
        with pytest.raises((FormatError, NoteRefused)):
            check_final(changed, policy_of(4))


def test_any_tool_accepts_more_lines_and_another_order() -> None:
    lines = (C4, cosignature(HEAD, 9), C2, LOG, C1, log_line(HEAD, 3))
    checkpoint, verified = check_trusted(
        format_note(Note(format_checkpoint(HEAD), lines)), describe_policy(policy_of(4))
    )
    assert checkpoint == HEAD
    assert {signature.key.name for signature in verified} == {
        ORIGIN,
        *(validator(i).cosigner_key.name for i in (1, 2, 4)),
    }


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((LOG, C1, C2), "does not meet"),
        ((C1, C2, C3), "does not meet"),
        ((LOG, C1, C2, cosignature(OTHER_HEAD, 3)), "not good"),
        ((cosignature(HEAD, 9),), "no signature of a known key"),
    ],
)
def test_no_tool_accepts_too_little(lines: tuple[SignatureLine, ...], reason: str) -> None:
    with pytest.raises(NoteRefused, match=reason):
        check_trusted(format_note(Note(format_checkpoint(HEAD), lines)), describe_policy(policy_of(4)))
