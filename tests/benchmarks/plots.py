"""Line charts as SVG, written by hand: two plots do not need a library."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 50, 50
COLOURS = ("#0b6e99", "#c2571a")


@dataclass(frozen=True)
class Series:
    """One line: its name and its points."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """A label and the values that are marked; the first and the last are the axis's ends."""

    label: str
    marks: Sequence[float]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Where a value lies between the ends, from 0 to 1."""
        low, high = self.marks[0], self.marks[-1]
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return (value - low) / (high - low)


def powers_of_ten(values: Sequence[float]) -> list[float]:
    """The marks of a logarithmic axis that holds these values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return [10.0**n for n in range(low, max(high, low + 1) + 1)]


def even_marks(highest: float) -> list[float]:
    """Four to eight round marks from 0 to at least the highest value."""
    step = 10.0 ** math.floor(math.log10(highest))
    while highest / step > 8:
        step *= 2
    while highest / step < 4:
        step /= 2
    return [step * n for n in range(math.ceil(highest / step) + 1)]


def chart(title: str, across: Axis, up: Axis, series: Sequence[Series]) -> str:
    """The whole picture as text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="16" fill="#222">{escape(title)}</text>',
        *_grid(across, up),
    ]
    for number, line in enumerate(series):
        parts += _line(line, across, up, COLOURS[number % len(COLOURS)], number)
    return "\n".join([*parts, "</svg>", ""])


def _x(axis: Axis, value: float) -> float:
    return round(LEFT + axis.place(value) * (WIDTH - LEFT - RIGHT), 1)


def _y(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.place(value) * (HEIGHT - TOP - BOTTOM), 1)


def _grid(across: Axis, up: Axis) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for value in up.marks:
        y = _y(up, value)
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#444">{value:,g}</text>')
    for value in across.marks:
        x = _x(across, value)
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#eee"/>')
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle" fill="#444">{value:,g}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor="middle" fill="#222">{escape(across.label)}</text>')
    parts.append(
        f'<text x="16" y="{(TOP + bottom) / 2}" text-anchor="middle" fill="#222" '
        f'transform="rotate(-90 16 {(TOP + bottom) / 2})">{escape(up.label)}</text>'
    )
    return parts


def _line(line: Series, across: Axis, up: Axis, colour: str, number: int) -> list[str]:
    points = " ".join(f"{_x(across, x)},{_y(up, y)}" for x, y in line.points)
    at = TOP + 14 + number * 18
    return [
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<line x1="{LEFT + 12}" y1="{at - 4}" x2="{LEFT + 36}" y2="{at - 4}" stroke="{colour}" stroke-width="3"/>',
        f'<text x="{LEFT + 42}" y="{at}" fill="#222">{escape(line.name)}</text>',
    ]
