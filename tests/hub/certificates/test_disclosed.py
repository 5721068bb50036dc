"""Certificates that name the beneficiary: checked against the hash in the proof, and only where a party wants it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.audit import audit_app
from keeling.certificate import (
    Certificate,
    CertificateError,
    check_certificate,
    check_disclosed,
    format_certificate,
    parse_certificate,
)
from keeling.certificate_page import format_page, read_page
from keeling.disclosure import Disclosure, Excerpt, Field, Shown, compute_digest, show_fields
from tests.hub.certificates.test_certificates import gather
from tests.hub.dispatch.stage import Stage, play

NASTY = "Société <b>Énergie</b> & </script><script>alert(1)</script>"
DISCLOSURE = Disclosure(
    b"\x21" * 32, (Field("beneficiary", NASTY), Field("country", "FR"), Field("price", "12.50 EUR"))
)
PLAIN_DOCUMENT = "61ed9440b4865f1aa380f72c31d50f58eca691eac605d93ce23aaae5d4b40e01"
PLAIN_PAGE = "35c467040f6d54ac134c1651af6895f664eaae33e2589613c260be342c5bbde0"
NAMED = show_fields(DISCLOSURE, ["beneficiary", "country"])


async def certify(stage: Stage) -> Certificate:
    """A retirement whose beneficiary the ledger knows by its digest."""
    hold = stage.place(units=100, first=1, beneficiary=compute_digest(DISCLOSURE))
    await stage.settle(stage.hub(), hold)
    (found,) = await gather(stage, hold)
    return found


def tell(act: Callable[[Stage, Certificate], None]) -> None:
    async def story(stage: Stage) -> None:
        act(stage, await certify(stage))

    play(story)


def test_without_an_attachment_nothing_is_different() -> None:
    def act(_: Stage, found: Certificate) -> None:
        assert found.disclosure is None
        assert b"disclosure" not in format_certificate(found)
        page = format_page(found)
        assert "Disclosed" not in page
        back = read_page(format_page(found._replace(disclosure=NAMED)).encode())
        assert format_page(back._replace(disclosure=None)) == page

    tell(act)


def test_a_page_without_an_attachment_has_the_bytes_it_always_had() -> None:
    """Written when certificates could not disclose anything."""
    plain = Certificate(
        *("11" * 32, "22" * 16, "RETIRED", "7.0", "puro", "R-1", "B", "alice/puro", "33" * 32, "2026-01-01"),
        *("2026-01-02T00:00:00.000Z", "T_CO2E", (), (), (b"proof",), "sandbox"),
    )
    assert hashlib.sha256(format_certificate(plain)).hexdigest() == PLAIN_DOCUMENT
    assert hashlib.sha256(format_page(plain).encode()).hexdigest() == PLAIN_PAGE


def test_a_page_that_names_the_beneficiary_holds_and_hides_the_rest() -> None:
    def act(stage: Stage, found: Certificate) -> None:
        named = found._replace(disclosure=NAMED)
        assert check_certificate(named, stage.world.genesis_bytes) == check_certificate(
            found, stage.world.genesis_bytes
        )
        page = format_page(named)
        assert read_page(page.encode()) == named == parse_certificate(format_certificate(named))
        assert page.count("<script") == 1
        assert "Société &lt;b&gt;Énergie&lt;/b&gt; &amp; " in page
        assert "<dt>country</dt><dd>FR</dd>" in page
        assert "1 of its 3 fields are not shown" in page
        for secret in ("12.50", "price", DISCLOSURE.salt.hex()):
            assert secret not in page

    tell(act)


def _rename(excerpt: Excerpt, value: str) -> Excerpt:
    first = excerpt.fields[0]
    assert isinstance(first, Shown)
    return Excerpt((first._replace(value=value), *excerpt.fields[1:]))


def test_no_other_name_holds() -> None:
    lies = {
        "another name": _rename(NAMED, "Other Ltd"),
        "another disclosure of the same name": show_fields(DISCLOSURE._replace(salt=b"\x22" * 32)),
        "one field less": Excerpt(NAMED.fields[:2]),
        "another order": Excerpt(NAMED.fields[::-1]),
    }

    def act(stage: Stage, found: Certificate) -> None:
        for name, lie in lies.items():
            with pytest.raises(CertificateError, match="the beneficiary is"):
                check_disclosed(found, lie)
            with pytest.raises(CertificateError, match="the beneficiary is"):
                check_certificate(found._replace(disclosure=lie), stage.world.genesis_bytes)
            assert read_page(format_page(found._replace(disclosure=lie)).encode()).disclosure == lie, name
        page = format_page(found._replace(disclosure=NAMED))
        with pytest.raises(CertificateError, match="shows something else"):
            read_page(page.replace("<dd>FR</dd>", "<dd>BE</dd>", 1).encode())
        with pytest.raises(CertificateError, match="what it discloses does not hold"):
            read_page(page.replace('"value": "FR"', '"value": "BE"', 1).encode())
        mute = found._replace(beneficiary="", disclosure=NAMED)
        with pytest.raises(CertificateError, match="the beneficiary is not said"):
            check_disclosed(mute, NAMED)

    tell(act)


def test_the_command_tells_what_is_disclosed(tmp_path: Path) -> None:
    def act(stage: Stage, found: Certificate) -> None:
        (tmp_path / "genesis").write_bytes(stage.world.genesis_bytes)
        (tmp_path / "named.html").write_text(format_page(found._replace(disclosure=NAMED)))
        (tmp_path / "lie.html").write_text(format_page(found._replace(disclosure=_rename(NAMED, "Other Ltd"))))

    tell(act)

    def run(name: str, *more: str) -> Any:
        return CliRunner().invoke(
            audit_app, ["certificate", str(tmp_path / name), "--genesis", str(tmp_path / "genesis"), *more]
        )

    assert f"the salted hash on the ledger is of: beneficiary: {NASTY}" in run("named.html").stdout
    told = json.loads(run("named.html", "--json").stdout)
    assert told["disclosed"] == [{"name": "beneficiary", "value": NASTY}, {"name": "country", "value": "FR"}]
    lied = run("lie.html")
    assert (lied.exit_code, "does NOT hold" in lied.stdout) == (4, True)
