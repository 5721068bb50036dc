"""A report's facts as one HTML page that stands alone: no scripts, no fonts or images from elsewhere, good on paper.

Every text of a file is escaped. What the page says is decided in `summary`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from hub.reports.model import name_registry

GRAIN_WORDS: Final = {
    "T_CO2E": "t CO₂e",
    "KG_CO2E": "kg CO₂e",
    "MWH_CERTIFICATE": "MWh certificates",
    "WH": "Wh",
    "SHORT_TON": "short tons",
    "CCC": "CCC",
    "OPAQUE": "units",
}
CLASS_WORDS: Final = {
    "lot": "units with serials",
    "evidence": "evidence only: no serials",
    "duplicate": "duplicates",
    "refused": "refused",
}
_SEVERITY_WORDS: Final = ("", "worth knowing", "unclear", "incomplete", "must be decided", "wrong")
_KINDS: Final = {">": "n", "~": "l", "=": "k"}
_MARKS: Final = "".join(_KINDS)
_RUN: Final = re.compile(r"^(.+-[0-9a-f]{12})[0-9a-f]{20}$")
"""A run's id, and the part of it that its report's file is named by."""
_STYLE: Final = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  color: #17211c; background: #fff; max-width: 62rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
p { margin: .3rem 0; } .quiet { color: #5b6b63; font-size: .9rem; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.card { border: 1px solid #cfd9d3; border-radius: 6px; padding: .6rem .8rem; }
.card b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.card span { color: #5b6b63; font-size: .85rem; }
ol.first { list-style: none; counter-reset: n; padding: 0; margin: 0; }
ol.first li { counter-increment: n; border-left: 5px solid #8aa396; padding: .45rem .9rem .5rem; margin: .6rem 0;
  background: #f5f8f6; }
ol.first li::before { content: counter(n) ". "; font-weight: 600; float: left; margin-right: .35rem; }
ol.first li.s5 { border-color: #b3261e; } ol.first li.s4 { border-color: #c77700; }
ol.first li.s3 { border-color: #c9a400; }
li b { font-weight: 600; } li .how { display: block; } li .where { display: block; color: #5b6b63; font-size: .88rem; }
.table { overflow-x: auto; margin: .3rem 0 .8rem; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .28rem .6rem; border-bottom: 1px solid #dde5e0; vertical-align: top; }
td.l { overflow-wrap: anywhere; min-width: 9rem; } td.k { white-space: nowrap; }
th { font-weight: 600; border-bottom: 2px solid #8aa396; }
tr.sum td { font-weight: 600; border-top: 2px solid #8aa396; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
@media (max-width: 34rem) { body { padding: 1rem .8rem 2rem; } table { font-size: .84rem; }
  th, td { padding: .25rem .4rem; } td.l { min-width: 7rem; } }
@media print { body { font-size: 10.5pt; max-width: none; padding: 0; } .card, ol.first li, tr { break-inside: avoid; }
  h2 { break-after: avoid; } @page { margin: 16mm; } ol.first li { background: none; } }
"""


def format_html(facts: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        *_head(facts),
        *_cards(facts),
        *_first(facts["first"]),
        *_totals(facts),
        *_disagreements(facts),
        *_moved(facts),
        *_unseen(facts),
        *_refused(facts),
        *_others(facts),
        *_foot(facts),
    ]
    return "\n".join(parts) + "\n"


def _head(facts: Mapping[str, Any]) -> list[str]:
    files = ", ".join(each["file"] for each in facts["files"])
    name = name_registry(facts["registry"])
    title = f"{name}: what is in {files}"
    return [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>{escape(name)}: what is in this export</h1>",
        f'<p class="quiet">{escape(files)} · run {escape(facts["run"])}</p>',
    ]


def _cards(facts: Mapping[str, Any]) -> list[str]:
    cards = [(f"{facts['rows']:,}", "rows, each in exactly one class")]
    cards += [
        (f"{units:,}", f"{GRAIN_WORDS.get(grain, grain)} in rows with serials")
        for grain, units in _items(facts, "lot_units")
    ]
    batches = facts["batches"]
    if batches["all"]:
        cards.append((f"{batches['all']:,}", f"batches, {batches['exact']:,} of them known whole"))
    cards += [
        (f"{units:,}", f"{GRAIN_WORDS.get(grain, grain)} unseen between them")
        for grain, units in _items(facts, "unseen_units")
    ]
    cards += [
        (f"{units:,}", f"{GRAIN_WORDS.get(grain, grain)} restricted")
        for grain, units in _items(facts, "restricted_units")
    ]
    shown = "".join(f'<div class="card"><b>{value}</b><span>{escape(words)}</span></div>' for value, words in cards)
    return [f'<div class="cards">{shown}</div>']


def _items(facts: Mapping[str, Any], name: str) -> Iterable[tuple[str, int]]:
    found: Mapping[str, int] = facts[name]
    return found.items()


def _first(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    if not findings:
        return ["<h2>Nothing to fix</h2><p>Every row could be read, and nothing in the file contradicts anything.</p>"]
    words = {1: "The first thing to fix"}.get(len(findings), f"The first {len(findings)} things to fix")
    items = []
    for each in findings:
        much = " and ".join(f"{units:,} {GRAIN_WORDS.get(grain, grain)}" for grain, units in each["units"].items())
        rows = f"{each['rows']:,} row{'s' if each['rows'] != 1 else ''}" if each["rows"] else ""
        measure = ", ".join(filter(None, (much, rows)))
        where = ", ".join(each["shown"])
        items.append(
            f'<li class="s{each["severity"]}"><b>{escape(each["title"])}</b>: {escape(measure)}'
            f' <span class="quiet">({_SEVERITY_WORDS[each["severity"]]})</span>'
            f'<span class="how">{escape(each["action"])}</span><span class="where">{escape(where)}</span></li>'
        )
    return [f"<h2>{words}</h2>", f'<ol class="first">{"".join(items)}</ol>']


def _totals(facts: Mapping[str, Any]) -> list[str]:
    parts = ["<h2>What became of the rows</h2>"]
    for each in facts["files"]:
        if len(facts["files"]) > 1:
            parts.append(f"<p>{escape(each['file'])}</p>")
        parts.append(_totals_table(each))
    if len(facts["files"]) > 1:
        parts += ["<p>All files together</p>", _totals_table(facts)]
    return parts


def _totals_table(facts: Mapping[str, Any]) -> str:
    rows = [
        (
            CLASS_WORDS.get(each["class"], each["class"]),
            each["status"] or "–",
            f"{each['rows']:,}",
            f"{each['units']:,}",
            f"{each['buffer_units']:,}" if each["buffer_units"] else "",
            GRAIN_WORDS.get(each["grain"], each["grain"]),
        )
        for each in facts["totals"]
    ]
    sums = [
        ("total", "", f"{each['rows']:,}", f"{each['units']:,}", "", GRAIN_WORDS.get(each["grain"], each["grain"]))
        for each in facts["grains"]
    ]
    columns = ("class", "status", ">rows", ">units", ">of them buffer", "=of")
    buffered = any(each["buffer_units"] for each in facts["totals"])
    kept = [at for at, name in enumerate(columns) if buffered or name != ">of them buffer"]
    shown = [[[line[at] for at in kept] for line in part] for part in ([columns], rows, sums)]
    return _table(shown[0][0], shown[1], shown[2])


def _disagreements(facts: Mapping[str, Any]) -> list[str]:
    if not facts["disagreements"]:
        return []
    rows = [
        (
            each["serials"] or each["batch"],
            f"{each['units']:,}",
            each["ledger"],
            each["claimed"],
            _RUN.sub(r"\1", each["source"]),
            "yes" if each["restricted"] else "",
        )
        for each in facts["disagreements"]
    ]
    columns = ("~units", ">how many", "the ledger has", "the other side says", "~source", "restricted")
    return ["<h2>Where two sides disagree</h2>", _table(columns, rows)]


def _moved(facts: Mapping[str, Any]) -> list[str]:
    if not facts["moved"]:
        return []
    rows = [
        (
            f"{each['file']} {each['row']}",
            each["serials"],
            f"{each['units'] or 0:,}",
            each["status"],
            name_registry(each["moved_to"]),
        )
        for each in facts["moved"]
    ]
    columns = ("row", "~serials", ">units", "shown as", "seems to live on at")
    return ["<h2>Not destroyed, but under another identity</h2>", _table(columns, rows)]


def _unseen(facts: Mapping[str, Any]) -> list[str]:
    if not facts["unseen"]:
        return []
    rows = [
        (each["batch"], f"{each['units']:,}", GRAIN_WORDS.get(each["grain"], each["grain"]))
        for each in facts["unseen"][:25]
    ]
    more = facts["unseen_batches"] - len(rows)
    tail = [f'<p class="quiet">and {more:,} more batches</p>'] if more > 0 else []
    return ["<h2>Unseen units, in no account</h2>", _table(("~batch", ">units", "=of"), rows), *tail]


def _refused(facts: Mapping[str, Any]) -> list[str]:
    if not facts["refused"]:
        return []
    rows = [
        (
            f"{each['file']} {each['row']}",
            each["reason"],
            each["detail"],
            f"{each['units']:,}" if each["units"] else "–",
        )
        for each in facts["refused"]
    ]
    return ["<h2>Rows that were refused</h2>", _table(("row", "reason", "~because", ">units stated"), rows)]


def _others(facts: Mapping[str, Any]) -> list[str]:
    rows = [
        (
            each["title"],
            ", ".join(f"{units:,} {GRAIN_WORDS.get(grain, grain)}" for grain, units in each["units"].items()),
            f"{each['rows']:,}" if each["rows"] else "",
            each["action"],
        )
        for each in facts["findings"][len(facts["first"]) :]
    ]
    if not rows:
        return []
    return ["<h2>Also worth knowing</h2>", _table(("what", "=how much", ">rows", "what to do"), rows)]


def _foot(facts: Mapping[str, Any]) -> list[str]:
    notes = [*facts["notes"]]
    notes += [f"{name}: {size:,} e-mail addresses removed" for name, size in facts["emails_removed"].items()]
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    parts = [f"<h2>Notes</h2><ul>{listed}</ul>"] if notes else []
    text = "Units of different kinds are never added together. Positions that no file has shown belong to no account."
    return [*parts, f'<p class="quiet">{text}</p>', "</body></html>"]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], sums: Iterable[Sequence[str]] = ()) -> str:
    """A table. Columns named with a leading ">" hold numbers, "~" long texts that may break anywhere, "=" no break."""
    kinds = [f' class="{_KINDS[name[0]]}"' if name[0] in _KINDS else "" for name in columns]
    head = "".join(f"<th{kind}>{escape(name.lstrip(_MARKS))}</th>" for name, kind in zip(columns, kinds, strict=True))
    body = [f"<tr>{_cells(row, kinds)}</tr>" for row in rows] + [
        f'<tr class="sum">{_cells(row, kinds)}</tr>' for row in sums
    ]
    return f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cells(row: Sequence[str], kinds: Sequence[str]) -> str:
    return "".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, kinds, strict=True))
