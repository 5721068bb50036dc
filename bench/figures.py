"""What was measured, and how it is told: a figure with its unit, what it stands beside, and its aim.

Measuring is done elsewhere. A figure without something beside it says little about the program and much about the
machine, so nearly all of them are given as ratios to a limit or a peer of the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


class Figure(NamedTuple):
    """One measured number. `beside` is the number of the same run it is compared with, `versus` what that one is."""

    name: str
    value: float
    unit: str
    beside: float | None = None
    versus: str = ""
    aim: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """`value` in terms of what stands beside it."""
        return self.value / self.beside if self.beside else None


class Section(NamedTuple):
    """Figures that belong together, and one sentence on what was done."""

    title: str
    about: str
    figures: tuple[Figure, ...]


def with_aim(figure: Figure, least: float, text: str, of_ratio: bool = False) -> Figure:
    """The figure with an aim: its value (or its ratio) should be at least `least`."""
    reached = figure.ratio if of_ratio else figure.value
    return figure._replace(aim=text, met=reached is not None and reached >= least)


def compute_percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie: the nearest one, no interpolation."""
    if not values:
        raise ValueError("there is no percentile of no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def format_value(value: float, unit: str) -> str:
    """Three significant digits below a thousand, whole numbers above."""
    shown = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{shown} {unit}".strip()


def print_sections(console: Console, sections: Sequence[Section]) -> None:
    """The sections as one table each."""
    for section in sections:
        table = Table(box=SIMPLE_HEAD, title=section.title, title_justify="left", title_style="bold", pad_edge=False)
        for heading in ("figure", "measured", "beside", "ratio", "aim"):
            table.add_column(heading, justify="right" if heading in ("measured", "ratio") else "left")
        for item in section.figures:
            beside = f"{item.versus} {format_value(item.beside, '')}" if item.beside is not None else item.note
            ratio = "" if item.ratio is None else f"{item.ratio:.2f}"
            mark = "" if item.met is None else ("[green]met[/] " if item.met else "[yellow]missed[/] ")
            table.add_row(item.name, format_value(item.value, item.unit), beside.strip(), ratio, mark + item.aim)
        console.print(table)
        console.print(section.about, style="dim", highlight=False)
        console.print()


def convert_sections(sections: Sequence[Section]) -> list[dict[str, Any]]:
    """The same as plain values for JSON."""
    return [
        {
            "title": section.title,
            "about": section.about,
            "figures": [{**item._asdict(), "ratio": item.ratio} for item in section.figures],
        }
        for section in sections
    ]
