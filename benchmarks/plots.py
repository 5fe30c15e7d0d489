"""Plots as SVG, written by hand: horizontal bars of ratios on a logarithmic axis, with a mark where each bar was set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from benchmarks.rows import Row

WIDTH, LABEL, LINE, PAD = 900, 390, 26, 40
HOLDS, MISSED, MARK, INK, GRID = "#2a7f62", "#c0392b", "#1f2937", "#1f2937", "#d1d5db"


def bars(title: str, rows: Sequence[Row]) -> str:
    """One bar a row: how many times better than promised it is (1 = just held), to the right where it holds."""
    margins = [margin(r) for r in rows]
    low, high = min(*margins, 0.5), max(*margins, 2.0)
    first, last = math.floor(math.log10(low) * 2) / 2, math.ceil(math.log10(high) * 2) / 2
    height = PAD + LINE * len(rows) + PAD

    def x(value: float) -> float:
        return LABEL + (WIDTH - LABEL - 70) * (math.log10(value) - first) / (last - first)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}: how many times better than promised (1 = just held)</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LABEL}" y="18" fill="{INK}">times better than promised (left of 1: missed)</text>',
    ]
    for tick in _ticks(first, last):
        parts.append(
            f'<line x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{PAD - 8}" y2="{height - PAD + 4}" stroke="{GRID}"/>'
        )
        parts.append(
            f'<text x="{x(tick):.1f}" y="{height - PAD + 20}" text-anchor="middle" fill="{INK}">{tick:g}</text>'
        )
    for place, (row, value) in enumerate(zip(rows, margins, strict=True)):
        y = PAD + place * LINE
        left, right = sorted((x(1.0), x(value)))
        colour = HOLDS if row.holds else MISSED
        parts.append(f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end" fill="{INK}">{escape(_label(row))}</text>')
        parts.append(
            f'<rect x="{left:.1f}" y="{y + 2}" width="{max(1.0, right - left):.1f}" height="{LINE - 10}" fill="{colour}"/>'
        )
        parts.append(f'<text x="{right + 5:.1f}" y="{y + 14}" fill="{INK}">{value:.3g}</text>')
    parts.append(
        f'<line x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{PAD - 8}" y2="{height - PAD + 4}" stroke="{MARK}" stroke-width="2"/>'
    )
    return "\n".join([*parts, "</svg>", ""])


def margin(row: Row) -> float:
    """How many times better than its bar a row is; 1 = just held, below 1 = missed."""
    of, _, limit = row.bar.replace("≤", "≥").rpartition("≥")
    measured = row.ours if of.strip() == "ours" else row.ratio
    promised = float(limit)
    if not measured or not promised:
        return 1.0
    return measured / promised if "≥" in row.bar else promised / measured


def _label(row: Row) -> str:
    return f"{row.id.partition('.')[2]}  ({row.bar})"


def _ticks(first: float, last: float) -> list[float]:
    """Powers of ten, and 3 of each, within the axis."""
    found = []
    for power in range(math.floor(first), math.ceil(last) + 1):
        found += [v for v in (10.0**power, 3 * 10.0**power) if first - 0.01 <= math.log10(v) <= last + 0.01]
    return found
