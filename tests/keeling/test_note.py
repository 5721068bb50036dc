"""Notes in the order of the checks: grammar, keys, then signatures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeling.ed25519 import SMALL_ORDER, public_key
from keeling.note import (
    KeyType,
    Note,
    NoteKey,
    NoteRefused,
    SignatureLine,
    check_line,
    check_note,
    cosign_text,
    format_note,
    format_signature_line,
    format_vkey,
    key_ring,
    parse_note,
    parse_signature_line,
    parse_vkey,
    sign_text,
)
from keeling.strict import FormatError, format_base64
from tests.keeling.log_samples import TIME, seed, signer

TEXT = "first line\n\nlast line\n"
PLAIN = NoteKey("signer.example/a", KeyType.PLAIN, public_key(seed(1, 1)))
COSIGNER = NoteKey("cosigner.example/b", KeyType.COSIGNATURE, public_key(seed(2, 1)))
STRANGER = NoteKey("stranger.example/c", KeyType.PLAIN, public_key(seed(1, 9)))


def plain(text: str = TEXT) -> SignatureLine:
    return sign_text(text, PLAIN, signer(seed(1, 1)))


def cosigned(time: int = TIME, text: str = TEXT) -> SignatureLine:
    return cosign_text(text, COSIGNER, time, signer(seed(2, 1)))


def strange() -> SignatureLine:
    return sign_text(TEXT, STRANGER, signer(seed(1, 9)))


LINE = format_signature_line(plain())
BASE64 = LINE.split(" ")[2].rstrip("\n")


def with_signature(base64_text: str, name: str = "a") -> bytes:
    return f"text\n\n— {name} {base64_text}\n".encode()


MALFORMED = [
    ("nothing", b""),
    ("no UTF-8", b"te\xffxt\n\n" + LINE.encode()),
    ("a surrogate", b"te\xed\xa0\x80xt\n\n" + LINE.encode()),
    ("a carriage return", b"text\r\n\n" + LINE.encode()),
    ("a tab", b"te\txt\n\n" + LINE.encode()),
    ("a zero byte", b"te\x00xt\n\n" + LINE.encode()),
    ("no separator", b"text\n" + LINE.encode()),
    ("a separator with a space", b"text\n \n" + LINE.encode()),
    ("no signature", b"text\n\n"),
    ("no signature after another text", b"text\n\nmore text\n"),
    ("no newline at the end", f"text\n\n{LINE}".encode()[:-1]),
    ("an empty line at the end", f"text\n\n{LINE}\n".encode()),
    ("a hyphen for the dash", f"text\n\n-{LINE[1:]}".encode()),
    ("an en dash", f"text\n\n–{LINE[1:]}".encode()),
    ("no space after the dash", f"text\n\n—{LINE[2:]}".encode()),
    ("no name", f"text\n\n— {BASE64}\n".encode()),
    ("an empty name", with_signature(BASE64, name="")),
    ("a plus in the name", with_signature(BASE64, name="a+b")),
    ("a no-break space in the name", with_signature(BASE64, name="a\xa0b")),
    ("a line separator in the name", with_signature(BASE64, name="a\u2028b")),
    ("a second space", with_signature(" " + BASE64)),
    ("something after the signature", with_signature(BASE64 + " x")),
    ("no base64", with_signature("@@@@")),
    ("URL-safe base64", with_signature("-_-_-_-_")),
    ("spare bits in the base64", with_signature("AAAAAAB=")),
    ("no padding", with_signature("AAAAAAA")),
    ("only a key id", with_signature(format_base64(b"abcd"))),
    ("65 signature lines", b"text\n\n" + 65 * LINE.encode()),
    ("more than 64 KiB", b"x" * 65_536 + b"\n\n" + LINE.encode()),
]


@pytest.mark.parametrize("data", [case[1] for case in MALFORMED], ids=[case[0] for case in MALFORMED])
def test_malformed_note_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        parse_note(data)


def test_separator_is_the_last_empty_line() -> None:
    note = parse_note(format_note(Note(TEXT, (plain(),))))
    assert note == Note(TEXT, (plain(),))
    assert parse_note(f"\n\n\n{LINE}".encode()).text == "\n\n"


def test_64_signature_lines_and_the_shortest_signature_are_read() -> None:
    assert len(parse_note(b"text\n\n" + 64 * LINE.encode()).signatures) == 64
    assert parse_note(with_signature(format_base64(b"abcde"))).signatures == (SignatureLine("a", b"abcd", b"e"),)


NAMES = st.text(st.characters(min_codepoint=0x21, exclude_categories=["Z", "C"], exclude_characters="+"), min_size=1)
LINES = st.builds(SignatureLine, NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=100))
TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"])).map(lambda text: text + "\n")


@given(TEXTS, st.lists(LINES, min_size=1, max_size=5))
def test_note_returns_from_its_bytes(text: str, lines: list[SignatureLine]) -> None:
    note = Note(text, tuple(lines))
    assert parse_note(format_note(note)) == note


@pytest.mark.parametrize("key", [PLAIN, COSIGNER])
def test_vkey_returns(key: NoteKey) -> None:
    assert parse_vkey(format_vkey(key)) == key


def vkey(key_type: int, key: bytes, name: str = "a", key_id: str | None = None) -> str:
    made = NoteKey(name, key_type, key)  # type: ignore[arg-type]
    return f"{name}+{key_id or made.id.hex()}+{format_base64(bytes([key_type]) + key)}"


BAD_VKEYS = [
    ("", "not name"),
    ("a+00000000", "not name"),
    (vkey(1, PLAIN.public_key, name=""), "key name"),
    (vkey(1, PLAIN.public_key, name="a b"), "key name"),
    (vkey(1, PLAIN.public_key) + "\n", "not base64"),
    ("a+00000000+", "type none"),
    (vkey(2, PLAIN.public_key), "type 02"),
    (vkey(5, PLAIN.public_key), "type 05"),
    (vkey(6, bytes(1312)), "type 06"),
    (vkey(1, PLAIN.public_key[:31]), "31 bytes"),
    (vkey(4, PLAIN.public_key + b"\x00"), "33 bytes"),
    (vkey(1, min(SMALL_ORDER)), "small order"),
    (vkey(1, PLAIN.public_key, key_id="00000000"), "carries the id"),
    (vkey(1, PLAIN.public_key, key_id="00"), "carries the id"),
    (vkey(1, PLAIN.public_key, key_id=NoteKey("a", KeyType.PLAIN, PLAIN.public_key).id.hex().upper()), "lower-case"),
]


@pytest.mark.parametrize(("text", "reason"), BAD_VKEYS)
def test_vkey_is_refused(text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        parse_vkey(text)


def note_of(*lines: SignatureLine) -> Note:
    return Note(TEXT, lines)


def flipped(line: SignatureLine, at: int = -1) -> SignatureLine:
    raw = bytearray(line.signature)
    raw[at] ^= 1
    return line._replace(signature=bytes(raw))


KNOWN = (PLAIN, COSIGNER)
TRUSTED = [
    ("one", note_of(plain()), [(PLAIN, None)]),
    ("both", note_of(cosigned(), plain()), [(COSIGNER, TIME), (PLAIN, None)]),
    ("an unknown key is ignored", note_of(strange(), plain()), [(PLAIN, None)]),
    ("an unknown key's bad signature too", note_of(plain(), flipped(strange())), [(PLAIN, None)]),
    ("our name with another id", note_of(plain(), flipped(plain())._replace(key_id=b"0000")), [(PLAIN, None)]),
    ("our id with another name", note_of(plain(), flipped(plain())._replace(name="other")), [(PLAIN, None)]),
    ("the same line twice counts once", note_of(plain(), plain()), [(PLAIN, None)]),
    ("newest last", note_of(cosigned(TIME), cosigned(TIME + 1)), [(COSIGNER, TIME + 1)]),
    ("newest first", note_of(cosigned(TIME + 1), cosigned(TIME)), [(COSIGNER, TIME + 1)]),
    ("time zero", note_of(cosigned(0)), [(COSIGNER, 0)]),
]


@pytest.mark.parametrize("case", TRUSTED, ids=[case[0] for case in TRUSTED])
def test_note_is_trusted(case: tuple[str, Note, list[tuple[NoteKey, int | None]]]) -> None:
    _, note, expected = case
    assert [(verified.key, verified.time) for verified in check_note(note, KNOWN)] == expected


REFUSED = [
    ("no known key", note_of(strange()), "no signature of a known key"),
    ("a bad signature beside a good one", note_of(cosigned(), flipped(plain())), "not good"),
    ("a bad signature after a good one of the same key", note_of(plain(), flipped(plain())), "not good"),
    ("another text", Note("other\n", (plain(),)), "not good"),
    ("another time", note_of(flipped(cosigned(), at=7)), "not good"),
    ("a plain signature of 63 bytes", note_of(plain()._replace(signature=plain().signature[:63])), "wrong length"),
    ("a cosignature of 71 bytes", note_of(cosigned()._replace(signature=cosigned().signature[:71])), "wrong length"),
    ("a cosignature of 5 bytes", note_of(cosigned()._replace(signature=b"12345")), "wrong length"),
    ("a time of 2^63", note_of(cosigned()._replace(signature=b"\x80" + cosigned().signature[1:])), "time"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[case[0] for case in REFUSED])
def test_note_is_refused(case: tuple[str, Note, str]) -> None:
    _, note, reason = case
    with pytest.raises(NoteRefused, match=reason):
        check_note(note, KNOWN)


def test_two_different_plain_signatures_of_one_key_are_refused() -> None:
    """RFC 8032 signs deterministically, but the owner of a key may sign with any nonce: this one was made so."""
    other = bytes.fromhex(
        "753f7ca918f700348681a37ec04d28d1cbc19bbbb218f89079d6ec10cef00360"
        "e697f415586708bc50a94b841703c5120e5622d56cda82b2ffd15972fe0e1301"
    )
    with pytest.raises(NoteRefused, match="two different"):
        check_note(note_of(plain(), plain()._replace(signature=other)), KNOWN)


def test_roles_of_keys_are_kept_apart() -> None:
    with pytest.raises(FormatError, match="signs no plain text"):
        sign_text(TEXT, COSIGNER, signer(seed(2, 1)))
    with pytest.raises(FormatError, match="no cosignatures"):
        cosign_text(TEXT, PLAIN, TIME, signer(seed(1, 1)))
    with pytest.raises(FormatError, match="time"):
        cosigned(2**63)
    with pytest.raises(NoteRefused, match="not of the key"):
        check_line(TEXT, plain(), COSIGNER)


def test_keys_that_no_line_tells_apart_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = PLAIN._replace(public_key=STRANGER.public_key)
    assert len(key_ring([PLAIN, other, PLAIN])) == 2
    monkeypatch.setattr(NoteKey, "id", property(lambda key: b"same"))
    with pytest.raises(FormatError, match="made anew"):
        key_ring([PLAIN, other])


def test_signature_line_is_one_line() -> None:
    assert parse_signature_line(LINE.removesuffix("\n")) == plain()
    with pytest.raises(FormatError, match="base64"):
        parse_signature_line(LINE)
