"""What is private, from the command line: made, given to its parties, opened, and compared with the ledger (G11)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from keeling.certificate import Certificate, format_certificate
from keeling.certificate_page import format_page, read_page
from keeling.disclosure import Disclosure, Field, compute_digest
from tests.cli.command_line import Ended, Keeling
from tests.cli.running_node import running_node

SALT = "21" * 32
FIELDS = ("--field", "beneficiary=Acme Ltd", "--field", "country=IN", "--field", "price=12.50 EUR")
DIGEST = compute_digest(
    Disclosure(
        bytes.fromhex(SALT), (Field("beneficiary", "Acme Ltd"), Field("country", "IN"), Field("price", "12.50 EUR"))
    )
).hex()


@pytest.fixture
def parties(keeling: Keeling) -> Keeling:
    """asha may open sale.sealed, ravi may not."""
    for name, person in (("asha", "p1"), ("ravi", "p2")):
        keeling.must("key", "new", f"{name}.key", "--participant", "acme", "--person", person)
    keeling.must("attachment", "make", "sale.sealed", "--to-key", "asha.key", *FIELDS, "--salt", SALT)
    return keeling


def said(ended: Ended, code: int, text: str) -> bool:
    return ended.code == code and text in ended.err


def test_a_party_opens_it_and_nobody_else(parties: Keeling) -> None:
    opened = parties.json("attachment", "open", "sale.sealed", "--key", "asha.key")
    assert opened["digest"] == DIGEST
    assert {each["name"]: each["value"] for each in opened["fields"]} == {
        "beneficiary": "Acme Ltd",
        "country": "IN",
        "price": "12.50 EUR",
    }
    shown = parties.must("attachment", "open", "sale.sealed", "--key", "asha.key").out
    assert "Acme Ltd" in shown
    assert f"digest {DIGEST}" in shown
    assert said(parties("attachment", "open", "sale.sealed", "--key", "ravi.key"), 5, "sale.sealed: it is for one key")


def test_an_encrypted_key_file_needs_its_passphrase(keeling: Keeling, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = keeling.root / "passphrase"
    secret.touch(0o600)
    secret.write_text("correct horse\n")
    monkeypatch.setenv("KEELING_PASSPHRASE_FILE", str(secret))
    assert keeling.json("key", "new", "asha.key", "--participant", "acme", "--person", "p1")["encrypted"]
    keeling.must("attachment", "make", "sale.sealed", "--to-key", "asha.key", *FIELDS)
    opening = ("attachment", "open", "sale.sealed", "--key", "asha.key")
    assert "Acme Ltd" in keeling.must(*opening).out
    secret.write_text("wrong\n")
    assert said(keeling(*opening), 2, "the passphrase does not open asha.key")
    monkeypatch.delenv("KEELING_PASSPHRASE_FILE")
    assert said(keeling(*opening), 2, "asha.key is encrypted: set KEELING_PASSPHRASE")


def test_a_changed_file_is_told(parties: Keeling) -> None:
    data = bytearray(Path("sale.sealed").read_bytes())
    data[-1] ^= 1
    Path("changed").write_bytes(data)
    assert said(parties("attachment", "open", "changed", "--key", "asha.key"), 2, "changed: it was changed after it")
    Path("empty").write_bytes(b"")
    assert said(parties("attachment", "open", "empty", "--key", "asha.key"), 2, "empty: this is no opened disclosure")
    assert said(parties("attachment", "open", "nothing", "--key", "asha.key"), 2, "nothing: No such file")


def test_what_is_opened_into_a_file_needs_no_key_and_hides_what_is_not_shown(parties: Keeling) -> None:
    key = ("--key", "asha.key")
    parties.must(
        "attachment", "open", "sale.sealed", *key, "--show", "beneficiary", "--show", "price", "--out", "a.json"
    )
    assert "IN" not in json.dumps(json.loads(Path("a.json").read_text())["fields"])
    for arguments, names in ((("a.json",), ["beneficiary", "price"]), (("a.json", "--show", "price"), ["price"])):
        opened = parties.json("attachment", "open", *arguments)
        assert ([each["name"] for each in opened["fields"]], opened["digest"]) == (names, DIGEST)
        assert opened["hidden"] == 3 - len(names)
    assert said(parties("attachment", "open", "a.json", "--show", "country"), 2, "'country' is not shown: it shows")
    again = parties("attachment", "open", "sale.sealed", *key, "--out", "a.json")
    assert said(again, 1, "FILE_EXISTS: a.json exists already; nothing was overwritten")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("x", *FIELDS), 2, "nobody is named who may open it; give --to PARTICIPANT or --to-key HEX"),
        (("x", "--to-key", "asha.key"), 2, "a disclosure has 1 to 32 fields, this one has 0"),
        (("x", "--to-key", "asha.key", "--field", "beneficiary"), 2, "'beneficiary' is no field; write NAME=TEXT"),
        (("x", "--to-key", "asha.key", "--field", "Beneficiary=A"), 2, "'Beneficiary' is no name of a field"),
        (("x", "--to-key", "asha.key", "--file", "mrv=nothing.pdf"), 2, "nothing.pdf: No such file"),
        (("x", "--to-key", "asha.key", "--salt", "00", *FIELDS), 2, "'00' has 1 bytes"),
        (("x", "--to-key", "00" * 32, *FIELDS), 2, "a point of small order"),
        (("x", "--to-key", "someone", *FIELDS), 2, "'someone' is neither a key file nor a public key in hex"),
        (("sale.sealed", "--to-key", "asha.key", *FIELDS), 1, "FILE_EXISTS: sale.sealed exists already"),
    ],
)
def test_what_cannot_be_made_is_told(parties: Keeling, arguments: tuple[str, ...], code: int, text: str) -> None:
    assert said(parties("attachment", "make", *arguments), code, text)
    assert not Path("x").exists()


def test_of_a_file_the_digest_is_said_and_twice_the_same_is_not_the_same(parties: Keeling) -> None:
    Path("report.pdf").write_bytes(b"tonnes")
    make = ("attachment", "make", "--to-key", "asha.key", "--to-key", "asha.key", "--file", "mrv_report=report.pdf")
    first, second = (parties.json(*make, name) for name in ("one", "two"))
    assert first["digest"] != second["digest"], "a fresh salt each time"
    (field,) = parties.json("attachment", "open", "one", "--key", "asha.key")["fields"]
    assert field == {"name": "mrv_report", "value": f"sha256:{hashlib.sha256(b'tonnes').hexdigest()}"}


PLAIN = Certificate(
    *("11" * 32, "22" * 16, "RETIRED", "7.0", "puro", "R-1", "B", "alice/puro", DIGEST, "2026-01-01"),
    *("2026-01-02T00:00:00.000Z", "T_CO2E", (), (), (b"proof",), "sandbox"),
)


def test_a_certificate_that_names_the_beneficiary_is_made_offline(parties: Keeling) -> None:
    Path("page.html").write_text(format_page(PLAIN))
    Path("other.json").write_bytes(format_certificate(PLAIN._replace(beneficiary="33" * 32)))
    named = ("sale.sealed", "--key", "asha.key", "--out")
    parties.must("attachment", "page", "page.html", *named, "named.html")
    text = Path("named.html").read_text()
    assert "<dt>beneficiary</dt><dd>Acme Ltd</dd>" in text
    assert "12.50" not in text
    parties.must("attachment", "page", "page.html", *named, "named.json", "--show", "price")
    found = read_page(Path("named.json").read_bytes())
    assert found.disclosure is not None
    assert found.disclosure.shown == (Field("price", "12.50 EUR"),)
    wrong = parties("attachment", "page", "other.json", *named, "wrong.html")
    assert said(wrong, 4, f"verification failed: other.json: the beneficiary is {'33' * 32}, the disclosure's {DIGEST}")
    assert not Path("wrong.html").exists()
    no_page = parties("attachment", "page", "sale.sealed", *named, "wrong.html")
    assert said(no_page, 4, "sale.sealed: ")


def test_the_certificates_of_a_hub_are_written_with_the_name_beside_those_without(
    parties: Keeling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub answers as ever, and is asked for nothing but certificates."""

    def answer(
        _: Path, method: str, path: str, role: str, accept: str = "application/json", body: object = None
    ) -> str:
        assert (method, role, body) == ("GET", "viewer", None)
        if path == "/v1/holds/H":
            return json.dumps({"told": "captured"})
        if "page_size" in path:
            line = dict.fromkeys(("status", "ended", "registry", "driver", "reference", "grade"), "")
            return json.dumps({"certificates": [line | {"event": "7.0", "units": "5"}], "next_page_token": ""})
        return format_page(PLAIN) if accept == "text/html" else format_certificate(PLAIN).decode()

    for module in ("cli.hub", "cli.hub_calls"):
        monkeypatch.setattr(f"{module}.call_hub", answer)
    asked = ("hub", "certificate", "H", "--attachment", "sale.sealed", "--key", "asha.key")
    assert said(parties(*asked), 2, "give --folder FOLDER")
    for _ in range(2):
        files = parties.json(*asked, "--folder", "out")["files"]
    assert files == [f"out/H{name}" for name in (".html", ".json", "-disclosed.html", "-disclosed.json")]
    assert Path("out/H.html").read_text() == format_page(PLAIN)
    named = read_page(Path("out/H-disclosed.html").read_bytes())
    assert named == read_page(Path("out/H-disclosed.json").read_bytes())
    assert named.disclosure is not None
    assert named.disclosure.shown == (Field("beneficiary", "Acme Ltd"),)


def test_an_attachment_of_units_that_were_retired_here(keeling: Keeling) -> None:
    with running_node(keeling, "--participant", "acme:group=Acme"):
        keeling.must("account", "open", "A")
        native = ("--programme", "NATIONAL", "--activity", "P", "--host", "KEN", "--vintage", "2024", "--batch", "N1")
        keeling.must("issue", *native, "--quantity", "100", "--to", "A")
        made = keeling.json("attachment", "make", "sale.sealed", "--to", "acme", "--to", "natreg", *FIELDS)
        people = [(each["participant"], each["person"]) for each in made["to"]]
        assert people == [("acme", "operator-1"), ("natreg", "operator-1")], "people's keys, and no node's"
        digest = ("--beneficiary", made["digest"])
        held = keeling.json("hold", "place", "10", "--account", "A", *digest)
        assert (held["beneficiary"], held["beneficiary_salt"]) == (made["digest"], "")
        retired = keeling.json("retire", "5", "--from", "A", *digest)
        place = retired["events"][0]["place"]
        for where in (("--hold", held["hold"]), ("--event", place)):
            for key in ((), ("--key", "natreg-keys/acme.key")):
                checked = keeling.json("attachment", "check", "sale.sealed", *where, *key)
                assert (checked["holds"], checked["beneficiary"]) == (True, made["digest"])
        keeling.must("capture", held["hold"])
        assert keeling.json("attachment", "check", "sale.sealed", "--hold", held["hold"])["holds"]
        check_other_questions(keeling, place)
        check_a_name_hashed_at_once(keeling)
        alone = keeling("attachment", "make", "theirs", "--to", "acme", *FIELDS)
        assert said(alone, 0, "warning: not for natreg itself: nobody there can open it again")
        assert said(keeling("attachment", "open", "theirs"), 5, "none of them")
        missing = keeling("attachment", "make", "x", "--to", "nobody", *FIELDS)
        assert said(missing, 3, "there is no participant nobody")


def check_other_questions(keeling: Keeling, place: str) -> None:
    check = ("attachment", "check", "sale.sealed")
    other = keeling.json("retire", "1", "--from", "A", "--beneficiary", "33" * 32)["events"][0]["place"]
    wrong = keeling(*check, "--event", other)
    assert said(wrong, 4, f"verification failed: event {other} (RETIRED) names {'33' * 32}, and this is")
    mute = keeling.json("retire", "1", "--from", "A")["events"][0]["place"]
    assert said(keeling(*check, "--event", mute), 4, "names no beneficiary")
    assert said(keeling(*check, "--event", f"{place.partition('.')[0]}.999"), 3, "there is no event")
    assert said(keeling(*check, "--event", "9999.0"), 3, "there is no event 9999.0")
    assert said(keeling(*check), 2, "give --hold HOLD or --event")
    assert said(keeling(*check, "--hold", "00" * 16), 3, "HOLD_NOT_FOUND")


def check_a_name_hashed_at_once(keeling: Keeling) -> None:
    """Whoever gave a name instead of a digest makes the attachment afterwards, with the salt that was printed."""
    named = keeling.json("retire", "1", "--from", "A", "--beneficiary", "Acme Ltd")
    salt = ("--salt", named["beneficiary_salt"])
    keeling.must("attachment", "make", "later", "--to", "natreg", "--field", "beneficiary=Acme Ltd", *salt)
    assert keeling.json("attachment", "check", "later", "--event", named["events"][0]["place"])["holds"]
    said_so = keeling.must("retire", "1", "--from", "A", "--beneficiary", "Acme Ltd").out
    assert "beneficiary salt, keep it: " in said_so
