"""What a successor changes is said of everybody: of who is new, who gains or loses a role, and who is not named."""

from __future__ import annotations

import pytest

from cli.succession_changes import Change, Part, compare_parts, parse_parts, warn_of_losses

OLD = Part("acme", "Acme", ("registry", "group"), True, False)
NOBODY = OLD._replace(participant="zeta", roles=(), validator=False)

CASES = [
    (None, OLD, ("registry", "group"), (), "is new, as registry, group; its node validates"),
    (OLD, OLD, (), (), "stays registry, group; its node validates"),
    (OLD, OLD._replace(roles=("group", "registry")), (), (), "stays group, registry; its node validates"),
    (OLD, OLD._replace(roles=("group",)), (), ("registry",), "LOSES registry; its node validates"),
    (
        OLD,
        OLD._replace(roles=("group", "bank")),
        ("bank",),
        ("registry",),
        "LOSES registry; gains bank; its node validates",
    ),
    (
        OLD,
        OLD._replace(validator=False),
        (),
        (),
        "stays registry, group; its node observes, as it did not before",
    ),
    (
        OLD._replace(suspended=True, validator=False),
        OLD._replace(name="Acme Ltd"),
        (),
        (),
        "stays registry, group; is called 'Acme Ltd' instead of 'Acme'; is no longer suspended; its node validates, "
        "as it did not before",
    ),
    (
        OLD,
        None,
        (),
        (),
        "is not named: stays registry, group, with its units and its people's keys; its node validates no more",
    ),
    (
        NOBODY._replace(suspended=True),
        None,
        (),
        (),
        "is not named: stays without a role, with its units and its people's keys; stays suspended",
    ),
]


@pytest.mark.parametrize(("before", "after", "gains", "loses", "text"), CASES)
def test_a_change_in_words(
    before: Part | None, after: Part | None, gains: tuple[str, ...], loses: tuple[str, ...], text: str
) -> None:
    name = next(each.participant for each in (before, after) if each is not None)
    found = compare_parts([before] if before else [], [after] if after else [])
    assert found == [Change(name, gains, loses, text)]


def test_those_named_come_first_and_losses_are_warned_of_together() -> None:
    other = OLD._replace(participant="bank", roles=("bank",))
    changes = compare_parts([NOBODY, OLD, other], [other._replace(roles=()), OLD._replace(roles=("group",))])
    assert [each.participant for each in changes] == ["bank", "acme", "zeta"]
    (warning,) = warn_of_losses(changes)
    assert warning.startswith("warning: roles are taken from participants: bank bank; acme registry. ")
    assert warn_of_losses(compare_parts([OLD], [OLD])) == []


def test_what_the_node_lists_is_read() -> None:
    listed = {"participant": "acme", "name": "Acme", "roles": ["registry", "group"], "validator": True}
    assert parse_parts([listed | {"suspended": False}]) == [OLD]
