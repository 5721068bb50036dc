"""Disclosures: one digest for one content, excerpts that prove what they show and hide the rest (G11)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeling.disclosure import (
    FIELDS_MAX,
    NAME_MAX,
    VALUE_BYTES_MAX,
    Disclosure,
    DisclosureError,
    Excerpt,
    Field,
    Shown,
    compute_digest,
    compute_excerpt_digest,
    decode_disclosure,
    encode_disclosure,
    format_excerpt,
    hear_excerpt,
    narrow_excerpt,
    parse_excerpt,
    show_fields,
)
from tests.keeling.attachment_vectors import VECTORS

SALT = b"\x07" * 32
ACME = Field("beneficiary", "Acme Ltd")
PRICE = Field("price", "12.50 EUR")
BOTH = Disclosure(SALT, (ACME, PRICE))

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
VALUES = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=40)
DISCLOSURES = st.builds(
    lambda salt, fields: Disclosure(salt, tuple(Field(*each) for each in fields.items())),
    st.binary(min_size=32, max_size=32),
    st.dictionaries(NAMES, VALUES, min_size=1, max_size=6),
)

REFUSED = [
    (Disclosure(SALT[1:], (ACME,)), "a salt has 32 bytes, this one has 31"),
    (Disclosure(SALT, ()), "1 to 32 fields, this one has 0"),
    (Disclosure(SALT, tuple(Field(f"a{i}", "x") for i in range(FIELDS_MAX + 1))), "this one has 33"),
    (Disclosure(SALT, (Field("", "x"),)), "'' is no name"),
    (Disclosure(SALT, (Field("Name", "x"),)), "'Name' is no name"),
    (Disclosure(SALT, (Field("1a", "x"),)), "'1a' is no name"),
    (Disclosure(SALT, (Field("a\n", "x"),)), "is no name"),
    (Disclosure(SALT, (Field("a" * (NAME_MAX + 1), "x"),)), "is no name"),
    (Disclosure(SALT, (ACME, Field("beneficiary", "other"))), "two fields beneficiary"),
    (Disclosure(SALT, (Field("a", "\ud800"),)), "not Unicode"),
    (Disclosure(SALT, (Field("a", ""),)), "a has 0 bytes"),
    (Disclosure(SALT, (Field("a", "é" * (VALUE_BYTES_MAX // 2 + 1)),)), "a has 1002 bytes"),
    *((Disclosure(SALT, (Field("a", f"x{c}y"),)), f"U\\+{ord(c):04X}") for c in "\x00\n\x7f\x9f\u200f\u202e\u2069"),
]


@pytest.mark.parametrize(("disclosure", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_no_disclosure_may_be(disclosure: Disclosure, said: str) -> None:
    for act in (encode_disclosure, compute_digest, show_fields):
        with pytest.raises(DisclosureError, match=said):
            act(disclosure)


def test_the_largest_there_can_be() -> None:
    largest = Disclosure(SALT, tuple(Field(f"{i:a>{NAME_MAX}}", "x" * VALUE_BYTES_MAX) for i in range(FIELDS_MAX)))
    assert decode_disclosure(encode_disclosure(largest)) == largest
    assert parse_excerpt(format_excerpt(show_fields(largest))).shown == largest.fields


@given(DISCLOSURES)
def test_encoding_is_one_to_one(disclosure: Disclosure) -> None:
    encoded = encode_disclosure(disclosure)
    assert decode_disclosure(encoded) == disclosure
    for wrong in (encoded[:-1], encoded + b"\x00", b""):
        with pytest.raises(DisclosureError, match="this is no disclosure"):
            decode_disclosure(wrong)


def test_everything_is_in_the_digest() -> None:
    others = [
        BOTH._replace(salt=b"\x08" * 32),
        Disclosure(SALT, (PRICE, ACME)),
        Disclosure(SALT, (ACME,)),
        Disclosure(SALT, (ACME, Field("price", "12.51 EUR"))),
        Disclosure(SALT, (ACME, Field("prices", "12.50 EUR"))),
    ]
    assert len({compute_digest(each) for each in (BOTH, *others)}) == len(others) + 1


@given(DISCLOSURES, st.data())
def test_every_excerpt_has_the_digest_of_the_whole(disclosure: Disclosure, data: st.DataObject) -> None:
    names = data.draw(st.sets(st.sampled_from([field.name for field in disclosure.fields])))
    excerpt = show_fields(disclosure, names)
    assert excerpt == narrow_excerpt(show_fields(disclosure), names)
    assert compute_excerpt_digest(excerpt) == compute_digest(disclosure)
    assert excerpt.shown == tuple(field for field in disclosure.fields if field.name in names)
    document = format_excerpt(excerpt)
    assert parse_excerpt(document) == excerpt
    hidden = [field for field in disclosure.fields if field.name not in names]
    told = json.loads(document)["fields"]
    assert [set(each) for each in told if "hidden" in each] == [{"hidden"}] * len(hidden)


def test_nothing_of_a_hidden_field_is_shown() -> None:
    shown = format_excerpt(show_fields(BOTH, ["beneficiary"])).decode()
    assert "Acme Ltd" in shown
    salts = [each.salt for each in show_fields(BOTH).fields if isinstance(each, Shown)]
    for secret in ("price", "12.50", SALT.hex(), salts[1].hex()):
        assert secret not in shown
    with pytest.raises(DisclosureError, match="'price' is not shown: it shows beneficiary"):
        narrow_excerpt(show_fields(BOTH, ["beneficiary"]), ["price"])


def test_a_name_that_is_not_there_is_refused() -> None:
    with pytest.raises(DisclosureError, match="no field 'prise': it has beneficiary, price"):
        show_fields(BOTH, ["prise"])


def test_another_word_has_another_digest() -> None:
    excerpt = show_fields(BOTH, ["beneficiary"])
    first = excerpt.fields[0]
    assert isinstance(first, Shown)
    lie = Excerpt((first._replace(value="Other Ltd"), *excerpt.fields[1:]))
    assert compute_excerpt_digest(lie) != compute_digest(BOTH)


GOOD = json.loads(format_excerpt(show_fields(BOTH, ["beneficiary"])))
FIRST, HIDDEN = GOOD["fields"]
SPOILT_FIELDS: list[object] = [
    *([], ["x"], [3], [{}], [HIDDEN] * 33, "hidden", 3),
    [FIRST, FIRST],
    [FIRST, {"hidden": "xx"}],
    [FIRST, {**HIDDEN, "name": "price"}],
    [{**FIRST, "name": 3}],
    [{**FIRST, "value": None}],
    *([{**FIRST, "salt": salt}] for salt in (7, "00", "AB" * 32)),
]
SPOILT = [
    *(b"", b"{}", b"[1]", b"null", b"7", b"\xff", b"[" * 100_000),
    *(json.dumps({**GOOD, "fields": fields}).encode() for fields in SPOILT_FIELDS),
    json.dumps({**GOOD, "digest": "00" * 32}).encode(),
    json.dumps({**GOOD, "more": 1}).encode(),
    json.dumps({**GOOD, "format": "keeling/disclosure/v2"}).encode(),
    json.dumps(GOOD).encode(),
    format_excerpt(hear_excerpt(GOOD)) + b" ",
    b" " * (256 << 10) + b"x",
]


@pytest.mark.parametrize("data", SPOILT, ids=lambda data: repr(data[:40]))
def test_documents_have_one_spelling(data: bytes) -> None:
    with pytest.raises(DisclosureError):
        parse_excerpt(data)


@given(
    st.binary(max_size=200) | st.recursive(st.none() | st.text(), st.lists).map(lambda told: json.dumps(told).encode())
)
def test_anything_else_is_refused_and_nothing_crashes(data: bytes) -> None:
    with pytest.raises(DisclosureError):
        parse_excerpt(data)


DOCUMENT = format_excerpt(show_fields(BOTH, ["beneficiary"]))


@settings(max_examples=200)
@given(st.integers(0, len(DOCUMENT) - 1), st.integers(1, 255))
def test_no_byte_of_a_document_can_be_changed(at: int, change: int) -> None:
    changed = bytearray(DOCUMENT)
    changed[at] ^= change
    with pytest.raises(DisclosureError):
        parse_excerpt(bytes(changed))


@pytest.mark.parametrize("vector", json.loads(VECTORS.read_text("utf-8"))["disclosures"], ids=lambda v: v["name"])
def test_vectors(vector: dict[str, object]) -> None:
    found = decode_disclosure(bytes.fromhex(str(vector["encoding"])))
    assert found.salt.hex() == vector["salt"]
    assert [list(field) for field in found.fields] == vector["fields"]
    assert compute_digest(found).hex() == vector["digest"]
    excerpt = hear_excerpt(vector["excerpt"])
    assert [field.name for field in excerpt.shown] == vector["shown"]
    assert compute_excerpt_digest(excerpt).hex() == vector["digest"]
