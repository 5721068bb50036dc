"""Writes docs/reasons.md from the vocabulary: `python -m tests.keeling.reasons_page` after a reason was added."""

from __future__ import annotations

from pathlib import Path

from keeling.meanings import MEANINGS
from keeling.reasons import Reason, pins

PAGE = Path(__file__).parents[2] / "docs" / "reasons.md"
GROUPS = {
    1: "Envelope and authentication",
    2: "Id",
    3: "Static fields",
    4: "Existence",
    5: "Authority and approvals",
    6: "State and restrictions",
    7: "Quantities",
    8: "Programme and Article 6 rules",
    9: "Reads only",
}
HEAD = """# Reasons a request is refused for

Every refusal has one reason: a stable number and name, on the ledger, in receipts and in `google.rpc.ErrorInfo`. Groups
stand in the order in which they are checked: a transaction that breaks several rules is refused for the first. Numbers
are never reused.

A first authenticated result binds the transaction's id for ever. Reasons marked *open* do not: nothing was decided, or
the same bytes may come again with more approvals. After any other refusal, correct the request and take a new id. The
last group says why a read has no answer; it binds nothing.
"""


def render() -> str:
    """The page."""
    lines = [HEAD]
    for hundred, title in GROUPS.items():
        lines += [
            f"## {title}",
            "",
            "| number | reason | what it says | what to do | |",
            "| --- | --- | --- | --- | --- |",
        ]
        for reason in Reason:
            if reason // 100 == hundred:
                meaning = MEANINGS[reason]
                mark = "" if pins(reason) or hundred == 9 else "*open*"
                lines.append(f"| {int(reason)} | `{reason.name}` | {meaning.text} | {meaning.advice} | {mark} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
