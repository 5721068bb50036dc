"""A certificate as one HTML page that stands alone and carries its own proof. Pure.

The document is inside the page, and the page is made of nothing else: a page that shows something different from its
document is not one of ours, and reading it says so. A document of before gives the page of before, byte for byte.
"""

from __future__ import annotations

import re
from html import escape
from typing import Final

from keeling.certificate import Certificate, CertificateError, Purpose, format_certificate, parse_certificate

_OPEN: Final = '<script type="application/json" id="certificate">'
_DOCUMENT: Final = re.compile(re.escape(_OPEN) + r"\n(.*?)</script>", re.DOTALL)
_WORDS: Final = {"RETIRED": "Retirement", "USED": "Use", "CANCELLED": "Cancellation"}
_GRADES: Final = {
    "A": "signed with the registry's own ledger key",
    "B": "the registry's answer to an authenticated client",
    "C": "a public export of the registry",
    "D": "the statement of an operator",
}
_REACHED: Final = {
    "live": "its live interface, as the issuer of this page says",
    "sandbox": "sandbox: not a real registry",
    "file": "a file, read by the issuer of this page",
    "": "not said",
}
_WARNINGS: Final = {
    "sandbox": "Sandbox: not a real registry. No unit ended anywhere but in a rehearsal; this certifies no claim.",
    "file": "Confirmed from a file, not by the registry's own answer. Ask the registry before you rely on it.",
}
_GRAINS: Final = {
    "T_CO2E": "t CO₂e",
    "KG_CO2E": "kg CO₂e",
    "MWH_CERTIFICATE": "MWh",
    "WH": "Wh",
    "SHORT_TON": "short tons",
}
_STATED: Final = """<p class="quiet">The proof shows which positions of which batch ended, when, for what, by which
reference and on which evidence. How the registry was reached, its name, its serials and what the units are is stated by
whoever made this page.</p>"""
_STYLE: Final = """
:root { color-scheme: light; } * { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; color: #17211c;
  background: #fff; max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
header { border-bottom: 3px solid #2f6f4f; padding-bottom: 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.amount { font-size: 2.4rem; font-weight: 650; margin: .6rem 0 0; font-variant-numeric: tabular-nums; }
.stand { display: inline-block; margin-top: .6rem; padding: .15rem .7rem; border-radius: 1rem; font-weight: 600;
  background: #e3f1e9; color: #1d5a3c; }
.gone .stand { background: #fbe4e2; color: #9b1c13; } .gone header { border-color: #b3261e; }
.gone .amount { text-decoration: line-through; text-decoration-thickness: 2px; }
.part .stand { background: #fff0d6; color: #8a5200; }
.mark { margin: 1rem 0 0; padding: .7rem 1rem; border: 2px solid #8a5200; border-radius: .4rem; font-weight: 600;
  background: #fff0d6; color: #6b3f00; }
dl { display: grid; grid-template-columns: 10rem 1fr; gap: .35rem 1rem; margin: 1.2rem 0; }
dt { color: #5b6b63; } dd { margin: 0; overflow-wrap: anywhere; }
.mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, monospace; font-size: .86rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .5rem; border-bottom: 1px solid #dde5e0; vertical-align: top; }
td { overflow-wrap: anywhere; } th { border-bottom: 2px solid #8aa396; }
td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.quiet { color: #5b6b63; font-size: .9rem; }
@media (max-width: 34rem) { body { padding: 1.2rem 1rem; } dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; } .amount { font-size: 1.9rem; } }
@media print { body { font-size: 10.5pt; max-width: none; padding: 0; } tr { break-inside: avoid; }
  @page { margin: 18mm; } }
"""


def format_page(certificate: Certificate) -> str:
    """The whole page, document included."""
    word, grain = _WORDS.get(certificate.ended, certificate.ended), _GRAINS.get(certificate.grain, "units")
    title = f"{word} certificate: {certificate.units:,} {grain}"
    if certificate.driver == "sandbox":
        title += " (sandbox: not a real registry)"
    shade = {"standing": "", "withdrawn": "gone"}.get(certificate.status, "part")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<style>{_STYLE}</style></head><body class="{shade}">',
            f"<header><h1>{escape(word)} certificate</h1>",
            f'<p class="amount">{certificate.units:,} {escape(grain)}</p>',
            f'<span class="stand">{escape(_say_status(certificate, grain))}</span>{_warn(certificate)}</header>',
            *_describe(certificate),
            *_describe_disclosed(certificate),
            *_table("Units", [(lot.serials, lot.batch, lot.units) for lot in certificate.lots]),
            *_describe_origins(certificate),
            *_describe_withdrawals(certificate),
            "<h2>How to check it</h2>",
            "<p>This page carries its proof. With a genesis file of the network that you have from elsewhere, and",
            'nothing else:</p><p class="mono">keeling audit certificate FILE --genesis GENESIS</p>',
            *([_STATED] if certificate.origins else []),
            '<p class="quiet">A copy cannot know what happened after it was made. Ask for a new one to see whether the',
            "registry has taken anything back since.</p>",
            f"{_OPEN}\n{format_certificate(certificate).decode()}</script></body></html>\n",
        ]
    )


def _warn(certificate: Certificate) -> str:
    """What must not be overlooked of how the registry was asked."""
    text = _WARNINGS.get(certificate.driver, "")
    return f'<p class="mark" role="note">{escape(text)}</p>' if text else ""


def _say_status(certificate: Certificate, grain: str) -> str:
    if certificate.status == "partly withdrawn":
        return f"partly withdrawn: {certificate.withdrawn_units:,} {grain}"
    return certificate.status


def _describe(certificate: Certificate) -> list[str]:
    grade = f"{certificate.grade}: {_GRADES.get(certificate.grade, 'not known')}"
    rows = [
        ("Registry", certificate.registry, ""),
        ("Reached by", _REACHED[certificate.driver], ""),
        ("Registry's reference", certificate.reference, "mono"),
        ("Evidence grade", grade, ""),
        *([("Used for", say_purpose(certificate.purpose), "")] if certificate.purpose is not None else []),
        ("Effective", certificate.effective or "not said", ""),
        ("On the ledger since", certificate.recorded, ""),
        ("From account", certificate.account, ""),
        ("Beneficiary (salted hash)", certificate.beneficiary or "not said", "mono"),
        ("Instruction", certificate.hold, "mono"),
        ("Ledger event", certificate.event, "mono"),
        ("Network", certificate.network, "mono"),
    ]
    body = [f'<dt>{escape(name)}</dt><dd class="{shade}">{escape(text)}</dd>' for name, text, shade in rows]
    return ["<dl>", *body, "</dl>"]


def say_purpose(purpose: Purpose) -> str:
    """What a use was for, in words: NDC 2026; CORSIA 2026 (COMPLIANCE), by ABC-1."""
    what = f"{purpose.scheme} {purpose.year}".strip() if purpose.scheme else purpose.year
    said = f"{what} ({purpose.use})" if purpose.scheme else f"{purpose.use} {what}".strip()
    return f"{said}, by {purpose.entity}" if purpose.entity else said


def _describe_origins(certificate: Certificate) -> list[str]:
    if not certificate.origins:
        return []
    head = "".join(f"<th>{name}</th>" for name in ("Batch", "Programme", "Project", "Host", "Vintage"))
    rows = ["".join(f"<td>{escape(cell)}</td>" for cell in each) for each in certificate.origins]
    return ["<h2>What they are</h2>", "<table>", *(f"<tr>{row}</tr>" for row in (head, *rows)), "</table>"]


def _describe_disclosed(certificate: Certificate) -> list[str]:
    """What a party made readable: apart from what the ledger says, because anybody may call a field anything."""
    excerpt = certificate.disclosure
    if excerpt is None:
        return []
    rows = [f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(value)}</dd>" for name, value in excerpt.shown]
    hidden = len(excerpt.fields) - len(excerpt.shown)
    more = f" {hidden} of its {len(excerpt.fields)} fields are not shown." if hidden else ""
    return [
        *("<h2>Disclosed by a party</h2>", "<dl>", *rows, "</dl>"),
        '<p class="quiet">The salted hash above, which the proof shows, is that of these words. Whether they are true,',
        f"the ledger cannot say: whoever wrote them answers for it.{more}</p>",
    ]


def _table(title: str, rows: list[tuple[str, str, int]]) -> list[str]:
    head = '<tr><th>Serials at the registry</th><th>Batch</th><th class="n">Units</th></tr>'
    body = [
        f'<tr><td class="mono">{escape(serials)}</td><td>{escape(batch)}</td><td class="n">{units:,}</td></tr>'
        for serials, batch, units in rows
    ]
    return [f"<h2>{escape(title)}</h2>", "<table>", head, *body, "</table>"]


def _describe_withdrawals(certificate: Certificate) -> list[str]:
    parts: list[str] = []
    for each in certificate.withdrawals:
        parts += _table(f"Withdrawn {each.recorded}", [(lot.serials, lot.batch, lot.units) for lot in each.lots])
        told = f"({escape(each.reference)}, event {escape(each.event)})"
        parts.append(f'<p>{escape(each.reason)} <span class="quiet">{told}</span></p>')
    return parts


def read_page(data: bytes) -> Certificate:
    """The certificate in a page, or in a bare document. Raises `CertificateError`, also if the page shows another."""
    if data[:1] == b"{":
        return parse_certificate(data)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise CertificateError("this is neither a certificate nor a page with one") from error
    found = _DOCUMENT.search(text)
    if found is None:
        raise CertificateError("there is no certificate in this page")
    certificate = parse_certificate(found[1].encode())
    if format_page(certificate) != text:
        raise CertificateError("the page shows something else than the certificate inside it")
    return certificate
